/**
 * Goes on with a value that may be there already, as the answers of this process's own node are: at
 * once then, and else when it is there.
 */
export function whenThere<Value, Result>(
  value: Promise<Value> | Value,
  goOn: (value: Value) => Promise<Result> | Result,
): Promise<Result> | Result {
  return value instanceof Promise ? value.then(goOn) : goOn(value);
}
