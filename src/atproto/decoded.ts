/** What every decoder of strangers' bytes returns: a value, or a reason from a closed union. Never an exception. */
export type Decoded<Value, Reason extends string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: Reason };
