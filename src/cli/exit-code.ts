/** The exit codes of `skyshard`, which README.md lists, and the text of an operating error. */
import { DataPlaneError, errorTable } from '../base/data-plane-error.ts';

export const exitCode = {
  done: 0,
  /** An operating failure; the message names its code and the next step. */
  failed: 1,
  /** A flag, a variable, the map or an argument is wrong; starting again cannot help. */
  misused: 2,
  /** A broken invariant: a defect of skyshard or damaged data. */
  defect: 70,
  /** A second Ctrl-C killed everything. */
  forced: 130,
} as const;

/** Returns the exit code for an operating error. */
export function exitCodeOf(error: DataPlaneError): number {
  return error.code === 'ConfigInvalid' || error.code === 'InvalidArgument' ? exitCode.misused : exitCode.failed;
}

/** Returns what is printed for an operating error: code, message, and the operator's next step. */
export function errorText(error: DataPlaneError): string {
  return `skyshard: ${error.code}: ${error.message}\n  ${error.hint}\n`;
}

/** Names the command's help where an error about its operands has no next step of its own. */
export function withNextStep(thrown: unknown, command: string): unknown {
  const isBare = thrown instanceof DataPlaneError && thrown.hint === errorTable.InvalidArgument.hint;
  if (!isBare) return thrown;
  const hint = `\`skyshard ${command} --help\` shows what it takes.`;
  return new DataPlaneError(thrown.code, thrown.message, { cause: thrown, hint });
}
