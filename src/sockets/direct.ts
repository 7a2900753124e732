/** What a program sees of a connection that it takes without a socket: the stack's own types, by way of this room. */
export type { Connection } from "../tcp/connection.js";
export type { ConnectionUser } from "../tcp/user.js";
