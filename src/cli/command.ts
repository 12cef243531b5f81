/** What a command of the CLI is given and what it is. */
import type { Clock } from '../base/clock.ts';
import type { Environment, ResolvedSettings, Settings } from '../config/settings.ts';
import type { ProcessLog } from './process-log.ts';

/** What every command is given; nothing else of the process is read by commands. */
export type CommandContext = {
  readonly settings: Settings;
  readonly resolved: ResolvedSettings;
  /** The positional arguments, checked for number by the parser. */
  readonly operands: readonly string[];
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: ProcessLog;
  /** Prints to standard output. */
  readonly print: (text: string) => void;
};

/** Runs to its end; a server ends at a signal. Returns the exit code. */
export type Command = (context: CommandContext) => Promise<number>;
