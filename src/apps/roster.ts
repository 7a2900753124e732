/** What a service has open, to be ended with it. */

/** Where an item's place is kept: in the item, or in something of its own. */
export const PLACE = Symbol("place in the roster");
export interface Placed {
  [PLACE]?: number;
}

/**
 * A set of things, in no order. Not a Set: V8 makes its table anew every so many deletions and the old one points to the new
 * one, so once one such table is old, whatever came later is kept until the whole heap is marked, however short it lived.
 */
export class Roster<T> {
  readonly #items: T[] = [];
  readonly #holder: (item: T) => Placed;

  /** @param holder what keeps the place of an item */
  constructor(holder: (item: T) => Placed) {
    this.#holder = holder;
  }

  add(item: T): void {
    this.#holder(item)[PLACE] = this.#items.push(item) - 1;
  }
  /** @param item one that was added and not yet deleted */
  delete(item: T): void {
    const place = this.#holder(item)[PLACE] as number,
      last = this.#items.pop() as T;
    if (last === item) return;
    this.#items[place] = last;
    this.#holder(last)[PLACE] = place;
  }
  /** A copy: what is ended meanwhile may be deleted. */
  items(): readonly T[] {
    return [...this.#items];
  }
}
