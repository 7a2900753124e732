/** Misbehaviour by TCP meaning. */
export { type FaultyDevice, withFaults } from "./device.js";
export { factsOf } from "./facts.js";
export { type FaultInfo, type FaultRegistry, Faults, type FaultsOptions } from "./faults.js";
export { ACTIONS, CONDITIONS, parseFault, parseFaults } from "./parse.js";
export type { ConnectionFacts } from "./rule.js";
export type { FaultClock } from "./schedule.js";
export { type Action, CLASSES, type FaultSpec, formatFault, type Match } from "./spec.js";
export { FaultSpecError } from "./words.js";
