/** Virtual time: what is to happen, in order of time and, at one time, in the order in which it was asked for. */

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

export class Agenda {
  /** Milliseconds. */
  now: number;
  #order = 0;
  readonly #heap: Entry[] = [];

  constructor(now: number) {
    this.now = now;
  }

  /** Time of the next entry; Infinity when there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }
  get size(): number {
    return this.#heap.length;
  }

  at(time: number, call: () => void): void {
    const heap = this.#heap,
      entry = { at: Math.max(time, this.now), order: this.#order++, call };
    let i = heap.length;
    heap.push(entry);
    for (; i > 0; ) {
      const parent = (i - 1) >> 1,
        above = heap[parent] as Entry;
      if (!before(entry, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = entry;
  }
  in(ms: number, call: () => void): void {
    this.at(this.now + ms, call);
  }

  /** Makes the calls that are due at `now`; what they add for now waits for the next round. @returns how many */
  run(): number {
    const end = this.#order;
    let calls = 0;
    for (let first = this.#heap[0]; first !== undefined && first.at <= this.now && first.order < end; first = this.#heap[0]) {
      this.#pop();
      first.call();
      calls++;
    }
    return calls;
  }

  #pop(): void {
    const heap = this.#heap,
      last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
  }
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
