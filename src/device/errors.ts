/** Errors that end in front of an operator: one line, and what to do about it. */

/** What sort of mend is needed; the command line makes its exit code of it (permission and missing: 3). */
export type DeviceErrorKind = "permission" | "missing" | "busy" | "usage" | "failed";

export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** Errno name or Node's code, such as "EACCES". */
  readonly code: string;
  readonly kind: DeviceErrorKind;
  /** One sentence that says what to do, with the command where there is one. */
  readonly mend: string;

  constructor(code: string, kind: DeviceErrorKind, message: string, mend: string) {
    super(message);
    this.code = code;
    this.kind = kind;
    this.mend = mend;
  }
}
