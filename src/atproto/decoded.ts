/** The result of decoding untrusted bytes: a value or a reason, never an exception. */
export type Decoded<Value, Reason extends string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: Reason };
