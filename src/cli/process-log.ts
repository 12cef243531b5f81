/**
 * Logs one line per message: time, level, message, fields, as text for people. As JSON for
 * collectors, pino does (`json-log.ts`). The supervisor adds the process.
 */
import type { Clock } from '../base/clock.ts';

/** The most severe first. */
const levels = ['error', 'warn', 'info', 'debug'] as const;

export type LogLevel = (typeof levels)[number];

export type ProcessLog = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Makes a log that prints messages at or above `least`. */
export type MakeLog = (least: LogLevel, clock: Clock, write: (line: string) => void) => ProcessLog;

function fieldText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return /^[\x21-\x7e]+$/.test(text) && !text.includes('"') ? text : JSON.stringify(text);
}

export type LogFormat = 'text' | 'json';

export const createTextLog: MakeLog =
  (least, clock, write) =>
  (level, message, fields = {}) => {
    if (levels.indexOf(level) > levels.indexOf(least)) return;
    const parts = Object.entries(fields).map(([name, value]) => ` ${name}=${fieldText(value)}`);
    // A message may quote untrusted input, whose control characters must not forge other lines.
    const printable = message.replace(/\p{Cc}/gu, ' ');
    write(`${new Date(clock.nowMs()).toISOString()} ${level} ${printable}${parts.join('')}\n`);
  };

/** Returns a line of a child as its supervisor prints it; one that is no JSON is made a message. */
export function lineOfChild(name: string, line: string, format: string, clock: Clock): string {
  if (format !== 'json') return `[${name}] ${line}`;
  const process = JSON.stringify(name);
  if (line.startsWith('{') && line.endsWith('}')) return `{"process":${process},${line.slice(1)}`;
  const time = new Date(clock.nowMs()).toISOString();
  return JSON.stringify({ process: name, time, level: 'error', message: line });
}
