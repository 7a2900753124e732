/** What a program needs to serve connections without sockets: the stack's own types, by way of this room. */
import { plainMemory } from "../wire/wasm-memory.js";
import type { Memory } from "../wire/memory.js";
import { SHARED, type SharedChunk } from "./handle.js";

export type { Connection } from "../tcp/connection.js";
export type { ConnectionUser } from "../tcp/user.js";
export type { Memory };

/** The memory that a chunk made by `net.share` lies in from its first octet on, or one around any other bytes. */
export const memoryOf = (bytes: Uint8Array): Memory => (bytes as SharedChunk)[SHARED]?.memory ?? plainMemory(bytes);
