/** Logs one line per message: time, level, message, fields. The supervisor adds the process. */
import type { Clock } from '../base/clock.ts';

/** The most severe first. */
const levels = ['error', 'warn', 'info', 'debug'] as const;

export type LogLevel = (typeof levels)[number];

export type ProcessLog = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

function fieldText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return /^[\x21-\x7e]+$/.test(text) && !text.includes('"') ? text : JSON.stringify(text);
}

/** Returns a log that prints messages at or above `least`. */
export function createProcessLog(least: LogLevel, clock: Clock, write: (line: string) => void): ProcessLog {
  return (level, message, fields = {}) => {
    if (levels.indexOf(level) > levels.indexOf(least)) return;
    const parts = Object.entries(fields).map(([name, value]) => ` ${name}=${fieldText(value)}`);
    // A message may quote untrusted input, whose control characters must not forge other lines.
    const printable = message.replace(/\p{Cc}/gu, ' ');
    write(`${new Date(clock.nowMs()).toISOString()} ${level} ${printable}${parts.join('')}\n`);
  };
}
