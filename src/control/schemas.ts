/** JSON schemas of the control API, one per route: what a request may hold, and what an answer looks like. */
import { LEVEL_NAMES } from "../observe/levels.js";

const open = { type: "object", additionalProperties: true } as const;
const list = { type: "array", items: open } as const;
const counts = { type: "object", additionalProperties: { type: "number" } } as const;

export const errorAnswer = {
  type: "object",
  required: ["error", "message"],
  properties: { error: { type: "string", description: "a stable word for programs" }, message: { type: "string", description: "a sentence for people" } },
} as const;
const errors = { "4xx": errorAnswer, "5xx": errorAnswer } as const;

const idParams = {
  type: "object",
  required: ["id"],
  properties: { id: { type: "integer", minimum: 1, description: "connection id, as in the log" } },
} as const;

export const SCHEMAS = {
  status: { response: { 200: { ...open, required: ["version", "pid", "tun", "addresses", "services"] }, ...errors } },
  sockets: {
    // The answer is a stream: the schema is for readers.
    response: {
      200: {
        type: "object",
        required: ["time", "pid", "listeners", "connections"],
        properties: { time: { type: "number" }, pid: { type: "integer" }, listeners: list, connections: list },
      },
      ...errors,
    },
  },
  socket: { params: idParams, response: { 200: { ...open, required: ["id", "state"] }, ...errors } },
  abort: { params: idParams, response: { 200: { type: "object", properties: { aborted: { type: "integer" } } }, ...errors } },
  events: {
    querystring: {
      type: "object",
      additionalProperties: false,
      properties: {
        conn: { type: "integer", minimum: 1 },
        event: { type: "string", description: "kinds, with commas between them" },
        port: { type: "integer", minimum: 1, maximum: 65_535, description: "local or remote" },
        state: { type: "string", description: "in any usual spelling; transitions from or to it" },
        level: { type: "string", enum: LEVEL_NAMES.filter((l) => l !== "silent"), description: "least level; info unless kinds are named" },
      },
    },
  },
  counters: {
    response: {
      200: {
        type: "object",
        properties: { stack: counts, device: counts, events: counts, transitions: counts, closed: counts, rules: counts, log: counts },
      },
      ...errors,
    },
  },
  options: { response: { 200: { type: "object", properties: { options: list } }, ...errors } },
  setOptions: {
    body: { type: "object", minProperties: 1, additionalProperties: { type: "string" } },
    response: { 200: { type: "object", properties: { options: list } }, ...errors },
  },
  faults: { response: { 200: { type: "object", properties: { faults: list } }, ...errors } },
  addFault: {
    body: { type: "object", required: ["spec"], additionalProperties: false, properties: { spec: { type: "string", minLength: 1, maxLength: 4_096 } } },
    response: { 201: { type: "object", properties: { faults: list } }, ...errors },
  },
  releaseFaults: {
    body: { type: "object", additionalProperties: false, properties: { id: { type: "string" } } },
    response: { 200: { type: "object", properties: { released: { type: "integer" } } }, ...errors },
  },
  clearFaults: { response: { 200: { type: "object", properties: { removed: { type: "integer" } } }, ...errors } },
  removeFault: {
    params: { type: "object", required: ["id"], properties: { id: { type: "string" } } },
    response: { 200: { type: "object", properties: { removed: { type: "integer" } } }, ...errors },
  },
} as const;
