/** What must be true of a running cluster at any time, whatever strangers send it. */
import { readFileSync } from 'node:fs';
import { readRunFile } from '../../src/cli/process/run-file.ts';
import type { RunningCluster } from '../support/running-cluster.ts';
import { mustHold } from './fuzz-target.ts';

/** Of each process, without the pages of its files. */
const memoryMibMax = 768;
const requestMsMax = 20_000;
/** A host that says nothing may hold its repo up for half of this. */
const settleMsMax = 60_000;

function memoryMibOf(pid: number): number {
  const line = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

/** Every process is the one that was started, and within its memory. Returns: the most, in MiB. */
export function checkProcesses({ printed, dataDir, run }: RunningCluster): number {
  mustHold(!printed.err.includes('started again'), `no process ends:\n${printed.err.slice(-3_000)}`);
  mustHold(readRunFile(dataDir) !== null, 'the cluster runs');
  let most = 0;
  for (const [name, { pid }] of Object.entries({ router: run.router, ingest: run.ingest, ...run.nodes })) {
    const mib = memoryMibOf(pid);
    mustHold(mib < memoryMibMax, `${name} has less than ${memoryMibMax} MiB of its own, not ${Math.round(mib)}`);
    most = Math.max(most, mib);
  }
  return most;
}

type SlotHealth = { readonly slot: number; readonly state: string; readonly quarantined?: number };

/** Every slot applies, and nothing is in quarantine. */
export async function checkSlots({ run }: RunningCluster): Promise<void> {
  for (const { url } of Object.values(run.nodes)) {
    const response = await fetch(`${url}/v1/status`, { signal: AbortSignal.timeout(requestMsMax) });
    const { slots } = (await response.json()) as { slots: SlotHealth[] };
    for (const { slot, state, quarantined = 0 } of slots) {
      mustHold(state === 'applying', `slot ${slot} applies, and is not ${state}`);
      mustHold(quarantined === 0, `slot ${slot} has nothing in quarantine, not ${quarantined}`);
    }
  }
}

/** Waits until all that has come in is applied everywhere. */
export async function settle({ run }: RunningCluster): Promise<void> {
  const settled = await fetch(`${run.router.url}/v1/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ timeoutMs: settleMsMax }),
    signal: AbortSignal.timeout(settleMsMax + requestMsMax),
  });
  mustHold(settled.status === 200, `the cluster settles: ${await settled.text()}`);
}
