/** What a labeler may do to a repair that reads it again: nothing holds it for ever. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SignedLabel } from '../../../src/atproto/label-event.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { type LabelRescanOptions, rescanLabels } from '../../../src/ingest/label-rescan.ts';
import type { FollowedLabeler } from '../../../src/ingest/labeler-parts.ts';
import { RescanPositions } from '../../../src/ingest/rescan-positions.ts';
import { labelsFrame, newKey, ScriptedLabeler, signedLabel } from '../../support/scripted-labeler.ts';
import type { Connection } from '../../support/scripted-network.ts';

const labelerDid = 'did:web:labeler.example';
const alice = `did:plc:${'a'.repeat(24)}`;
const sleepMsMax = 100;

let labeler: ScriptedLabeler;
let values: string[];
let drops: string[];
let positions: RescanPositions;
let givenUp: Set<string>;

beforeEach(async () => {
  labeler = await ScriptedLabeler.start(labelerDid);
  [values, drops, givenUp] = [[], [], new Set()];
  positions = new RescanPositions({ positions: {}, done: [] }, async () => {}, systemClock);
});
afterEach(() => labeler.close());

/** A labeler whose labels are noted. */
function followed(receivedSeq: number, overrides: { url?: string; name?: string } = {}): FollowedLabeler {
  const { url = labeler.url, name = labelerDid } = overrides;
  const parts = {
    labeler: { locate: async () => ({ ok: true, url }) },
    router: {
      route: ({ labels }: { labels: readonly SignedLabel[] }) => {
        values.push(...labels.map(({ label }) => label.val));
        return labels.length === 0 ? null : Promise.resolve();
      },
      waitForCapacity: () => null,
    },
    subscription: { name, status: { receivedSeq }, drop: (reason: string) => void drops.push(reason) },
  };
  return parts as unknown as FollowedLabeler;
}

function rescan(labelers: readonly FollowedLabeler[], limits: LabelRescanOptions['limits'] = {}): Promise<string[]> {
  const { signal } = new AbortController();
  const request = { isWanted: () => true, positions, signal, isGivenUp: (name: string) => givenUp.has(name) };
  return rescanLabels(labelers, request, {
    // Waits between attempts grow to many seconds.
    clock: { ...systemClock, sleep: (ms, of) => systemClock.sleep(Math.min(ms, sleepMsMax), of) },
    random: seededRandom(1),
    note: () => {},
    limits,
  });
}

async function frameOf(seq: number, val: string): Promise<Buffer> {
  return labelsFrame(seq, [await signedLabel(await newKey(), labeler.labelOf({ uri: alice, val }))]);
}

/** Answers each connection by a script until it is closed. */
function onConnection(script: (send: (frame: Buffer) => void, cursor: number) => Promise<void> | void): void {
  labeler.stream.onConnect = ({ socket, cursor }: Connection) => {
    void script((frame) => socket.readyState === socket.OPEN && socket.send(frame), cursor ?? 0);
  };
}

describe('reading a labeler again', () => {
  it('passes frames that are too large, by ever larger steps, and reads what lies between', async () => {
    const large = Buffer.alloc(17 * 2 ** 20);
    const far = 5_000;
    const [first, last] = [await frameOf(1, 'first'), await frameOf(far, 'last')];
    onConnection((send, cursor) => {
      if (cursor < 1) send(first);
      // Its seq is somewhere in the gap, for all that can be seen.
      send(cursor < far - 1_000 ? large : last);
    });
    expect(await rescan([followed(far)])).toEqual([]);
    expect(values).toEqual(['first', 'last']);
    expect(drops.length).toBeGreaterThan(10);
    expect(new Set(drops)).toEqual(new Set(['frame-too-large']));
    expect(labeler.stream.connections.length).toBeLessThan(30);
  }, 60_000);

  it('counts an attempt that only repeats what came as one that brings nothing', async () => {
    const frame = await frameOf(1, 'old');
    onConnection(async (send) => {
      while (!isOver) {
        send(frame);
        await systemClock.sleep(5);
      }
    });
    let isOver = false;
    const left = await rescan([followed(10)], { idleMsMax: 40 }).finally(() => {
      isOver = true;
    });
    expect(left).toEqual([labelerDid]);
    // The first brings the label, the others do not.
    expect(values).toEqual(['old']);
    expect(labeler.stream.connections).toHaveLength(9);
  }, 60_000);

  it('gives one up that brings something new without end, and goes on there the next time', async () => {
    const frames = await Promise.all(
      Array.from({ length: 50 }, (_frame, index) => frameOf(index + 1, `v${index + 1}`)),
    );
    onConnection(async (send, cursor) => {
      for (const frame of frames.slice(cursor)) {
        send(frame);
        await systemClock.sleep(20);
      }
    });
    expect(await rescan([followed(50)], { labelerMsMax: 300 })).toEqual([labelerDid]);
    const reached = positions.of(labelerDid);
    expect(reached).toBeGreaterThan(0);
    expect(reached).toBeLessThan(50);
    labeler.stream.onConnect = null;
    labeler.stream.backlog = frames.map((frame, index) => ({ seq: index + 1, frame }));
    expect(await rescan([followed(50)])).toEqual([]);
    expect(labeler.stream.connections.at(-1)!.cursor).toBeGreaterThanOrEqual(reached);
    expect(new Set(values).size).toBe(50);
    // What is over is not read once more.
    const { length } = labeler.stream.connections;
    expect(await rescan([followed(50)])).toEqual([]);
    expect(labeler.stream.connections).toHaveLength(length);
  }, 60_000);

  it('reads the others while one sends nothing, and lets go of that one when the operator does', async () => {
    const other = await ScriptedLabeler.start('did:web:other.example');
    other.stream.publish(1, await frameOf(1, 'of the other'));
    onConnection(() => {});
    const silent = followed(5);
    const reading = rescan([silent, followed(1, { url: other.url, name: other.did })]);
    while (!positions.isDone(other.did)) await systemClock.sleep(5);
    expect(values).toEqual(['of the other']);
    expect(positions.waitsFor).toEqual([`${labelerDid}, read to 0 of 5`]);
    givenUp.add(labelerDid);
    expect(await reading).toEqual([]);
    expect(positions.waitsFor).toEqual([]);
    await other.close();
  }, 60_000);
});
