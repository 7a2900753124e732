/** epoll as scripts use it: level and edge triggered, one shot. */
import { CONSTANTS } from "./constants.js";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, type Socket } from "./socket.js";

const ET = CONSTANTS["EPOLLET"] as number,
  ONESHOT = CONSTANTS["EPOLLONESHOT"] as number;
const ADD = CONSTANTS["EPOLL_CTL_ADD"],
  DEL = CONSTANTS["EPOLL_CTL_DEL"],
  MOD = CONSTANTS["EPOLL_CTL_MOD"];

interface Entry {
  readonly socket: Socket;
  events: number;
  data: number;
  /** Something happened since the entry was last reported (edge triggered). */
  ready: boolean;
  spent: boolean;
  mask: number;
  received: number;
}

export class Epoll {
  readonly #entries = new Map<Socket, Entry>();

  /** @returns an errno name, or undefined */
  control(op: number, socket: Socket, events: number, data: number, now: number): string | undefined {
    const entry = this.#entries.get(socket);
    const mask = socket.readiness(now),
      received = receivedOf(socket);
    switch (op) {
      case ADD:
        if (entry !== undefined) return "EEXIST";
        this.#entries.set(socket, { socket, events, data, ready: true, spent: false, mask, received });
        return undefined;
      case MOD:
        if (entry === undefined) return "ENOENT";
        Object.assign(entry, { events, data, ready: true, spent: false, mask, received });
        return undefined;
      case DEL:
        return this.#entries.delete(socket) ? undefined : "ENOENT";
      default:
        return "EINVAL";
    }
  }
  forget(socket: Socket): void {
    this.#entries.delete(socket);
  }

  /** Notes what has changed: new text, or a bit that was not set before. */
  observe(now: number): void {
    for (const e of this.#entries.values()) {
      const mask = e.socket.readiness(now),
        received = receivedOf(e.socket);
      let woken = mask & ~e.mask;
      if (received !== e.received) woken |= POLLIN;
      if ((woken & (e.events | POLLERR | POLLHUP)) !== 0) e.ready = true;
      e.mask = mask;
      e.received = received;
    }
  }

  wait(most: number, now: number): { events: number; data: number }[] {
    this.observe(now);
    const out: { events: number; data: number }[] = [];
    for (const e of this.#entries.values()) {
      if (out.length >= most) break;
      if (e.spent || ((e.events & ET) !== 0 && !e.ready)) continue;
      const events = e.socket.readiness(now) & (e.events | POLLERR | POLLHUP) & (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP | 0x3c2);
      if (events === 0) continue;
      out.push({ events, data: e.data });
      e.ready = false;
      if ((e.events & ONESHOT) !== 0) e.spent = true;
    }
    return out;
  }
}
const receivedOf = (s: Socket): number => (s.conn?.tcb.stats.bytesReceived ?? 0) + s.finished.length;
