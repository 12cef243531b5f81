/**
 * A thread that writes one slot: applies the bytes of each entry, and reports when it is on disk.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Slot } from '../../src/slot/slot.ts';
import { bytesOfChunk } from '../support/slot-cluster.ts';

const { path, mapBytes } = workerData as { path: string; mapBytes: number };
const slot = Slot.open({ index: 0, slots: 1, path, mapBytes });
let appendMs = Date.UTC(2026, 0, 1);

parentPort!.on('message', (item: Uint8Array | null) => {
  if (item === null) {
    void slot[Symbol.asyncDispose]().then(() => parentPort!.close());
    return;
  }
  slot.run([bytesOfChunk({ slot: 0, origin: null, items: [item], marks: [] })], appendMs++);
  parentPort!.postMessage(slot.state.takeChanges());
});
parentPort!.postMessage('ready');
