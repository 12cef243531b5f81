/** Entry point of the thread that is the last to close files of slots which the node gives up. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { Environment, environmentFiles } from '../storage/environment.ts';
import { type FromLeftThread, type LeftTask, leftOrders } from './left-task.ts';
import { doTasks } from './spare-task.ts';

async function keepOpen({ paths, mapBytes, order, keepMs }: LeftTask): Promise<void> {
  const environments: Environment[] = [];
  const files: number[] = [];
  try {
    for (const path of paths) {
      // A file without a name leaves memory when it is closed for good. That is done after the
      // storage library's close, during which no other thread can open or close anything.
      files.push(openSync(join(path, environmentFiles.data), 'r'));
      environments.push(Environment.open({ path, mapBytes, tables: [] }));
    }
    parentPort!.postMessage({ type: 'open' } satisfies FromLeftThread);
    Atomics.wait(order, 0, leftOrders.keep, keepMs);
  } finally {
    for (const environment of environments) await environment.close();
    for (const file of files) closeSync(file);
  }
}

doTasks(keepOpen);
