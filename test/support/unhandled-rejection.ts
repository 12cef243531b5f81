/** Rejections that nobody handles, with which main ends the process. */
import { once } from 'node:events';

/** Returns what the first unhandled rejection after `act` rejects with. */
export async function unhandledRejectionOf(act: () => unknown): Promise<unknown> {
  const listeners = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  try {
    const rejected = once(process, 'unhandledRejection');
    await act();
    return (await rejected)[0];
  } finally {
    for (const listener of listeners) process.on('unhandledRejection', listener);
  }
}
