import { type DataPlaneError, errorFromPeer } from '../base/data-plane-error.ts';

/** Returns what a thread threw, as the class that it lost on the way between threads. */
export function errorOfThread(thread: string, thrown: unknown): Error {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (error.name !== 'DataPlaneError') return error;
  const { code, message, ownHint } = error as DataPlaneError;
  return errorFromPeer(thread, code, message, ownHint);
}
