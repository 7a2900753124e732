/** What is due later: a heap of segments in waiting behind one timer of an injected clock. */

/** Time as faults need it. Milliseconds since some start. */
export interface FaultClock {
  now(): number;
  /** Calls `run` once at `when` or soon after. @returns how to call it off */
  at(when: number, run: () => void): () => void;
}

interface Item {
  readonly due: number;
  readonly order: number;
  readonly run: () => void;
}
const before = (a: Item, b: Item): boolean => a.due < b.due || (a.due === b.due && a.order < b.order);

export class Schedule {
  readonly #clock: FaultClock;
  readonly #heap: Item[] = [];
  #order = 0;
  #armed = Infinity;
  #cancel: () => void = () => {};
  constructor(clock: FaultClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Items that are due at the same time run in the order in which they were added. */
  add(due: number, run: () => void): void {
    const heap = this.#heap;
    let i = heap.push({ due, order: this.#order++, run }) - 1;
    const item = heap[i] as Item;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(item, heap[parent] as Item)) break;
      heap[i] = heap[parent] as Item;
      i = parent;
    }
    heap[i] = item;
    this.#arm();
  }

  clear(): void {
    this.#heap.length = 0;
    this.#cancel();
    this.#armed = Infinity;
  }

  #arm(): void {
    const due = this.#heap[0]?.due ?? Infinity;
    if (due >= this.#armed) return;
    this.#cancel();
    this.#armed = due;
    this.#cancel = this.#clock.at(due, () => {
      this.#armed = Infinity;
      this.#cancel = () => {};
      const now = this.#clock.now();
      for (let next = this.#heap[0]; next !== undefined && next.due <= now; next = this.#heap[0]) {
        this.#pop();
        next.run();
      }
      this.#arm();
    });
  }

  #pop(): void {
    const heap = this.#heap,
      last = heap.pop() as Item;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Item, heap[child] as Item)) child++;
      if (!before(heap[child] as Item, last)) break;
      heap[i] = heap[child] as Item;
      i = child;
    }
    heap[i] = last;
  }
}
