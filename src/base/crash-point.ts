/**
 * Named points at which a crash test kills the process.
 *
 * Off unless a test arms one for this process; reaching an armed point ends the process as a power cut would, with SIGKILL.
 */
export const crashPoints = [
  'slot-after-append',
  'slot-after-commit',
  'effects-before-send',
  'effects-before-ack',
] as const;
export type CrashPoint = (typeof crashPoints)[number];

let armed: { point: CrashPoint; left: number } | undefined;

/** Arms one point: the process dies when it is reached for the `nth` time, counted from 1. */
export function armCrashPoint(point: CrashPoint, nth: number): void {
  armed = { point, left: nth };
}

/** Marks a point in the code. Costs one comparison while nothing is armed. */
export function reachCrashPoint(point: CrashPoint): void {
  if (armed === undefined || armed.point !== point) return;
  armed.left--;
  if (armed.left <= 0) process.kill(process.pid, 'SIGKILL');
}
