/** Logs one JSON object per message, by pino. It is loaded only where it is asked for. */
import { pino } from 'pino';
import type { MakeLog } from './process-log.ts';

export const createJsonLog: MakeLog = (least, clock, write) => {
  const options = {
    level: least,
    base: null,
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date(clock.nowMs()).toISOString()}"`,
    formatters: { level: (level: string) => ({ level }) },
  };
  const logger = pino(options, { write });
  return (level, message, fields = {}) => logger[level](fields, message);
};
