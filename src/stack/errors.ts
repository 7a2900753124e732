/** What a call to the stack can fail with; codes as errno names them. */
export type StackErrorCode = "EADDRINUSE" | "EADDRNOTAVAIL" | "EINVAL" | "ENOBUFS" | "ENETUNREACH" | "EISCONN";

export class StackError extends Error {
  readonly code: StackErrorCode;
  constructor(code: StackErrorCode, message: string) {
    super(message);
    this.name = "StackError";
    this.code = code;
  }
}
