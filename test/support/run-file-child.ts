/** Writes two run files into the folder given in argv, and dies in the middle of the second. */
import { armCrashPoint } from '../../src/base/crash-point.ts';
import { writeRunFile } from '../../src/cli/process/run-file.ts';

const folder = process.argv[2]!;
const listening = { pid: process.pid, host: '127.0.0.1', port: 1, url: 'http://127.0.0.1:1' };
const run = {
  version: 'test',
  pid: process.pid,
  startedAt: '2024-05-06T07:08:09.000Z',
  map: 'map.json',
  router: { ...listening, http2Port: 2, http2Url: 'http://127.0.0.1:2' },
  ingest: listening,
  nodes: {},
  demo: null,
};
armCrashPoint('file-before-replace', 2);
writeRunFile(folder, { ...run, epoch: 1 });
writeRunFile(folder, { ...run, epoch: 2 });
