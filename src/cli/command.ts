/** The type of a CLI command, and what it is given. */
import type { Clock } from '../base/clock.ts';
import type { Environment, ResolvedSettings, Settings } from '../config/settings.ts';
import type { ProcessLog } from './process-log.ts';

/** Everything of the process that a command may use. */
export type CommandContext = {
  readonly settings: Settings;
  readonly resolved: ResolvedSettings;
  /** The positional arguments; the parser has checked their number. */
  readonly operands: readonly string[];
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: ProcessLog;
  /** Prints to standard output. */
  readonly print: (text: string) => void;
};

/** Runs to its end; a server ends at a signal. Returns the exit code. */
export type Command = (context: CommandContext) => Promise<number>;
