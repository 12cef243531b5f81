/**
 * The cost of each stage of ingest in one thread: decode, check, encode, apply, commit.
 *
 * The slots are real and flushed; effects go from slot to slot in memory. Batches are full.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { decodeFirehoseMessage, type FirehoseEvent } from '../src/atproto/firehose-event.ts';
import { ByteWriter } from '../src/base/bytes.ts';
import { systemClock } from '../src/base/clock.ts';
import type { Entry } from '../src/entry/entry.ts';
import { encodeEntry, writeEntry } from '../src/entry/entry-codec.ts';
import { keepSoundOps } from '../src/ingest/event-router.ts';
import { createIngestCounters } from '../src/ingest/ingest-counters.ts';
import { writeChunk } from '../src/log/chunk.ts';
import { slotOf } from '../src/shardmap/slot-of.ts';
import { Slot } from '../src/slot/slot.ts';
import type { OutboxBatch } from '../src/slot/table/outbox.ts';
import { readFrames } from './data-set-file.ts';
import type { Figures } from './report.ts';

export type StageOptions = {
  readonly folder: string;
  readonly framesPath: string;
  readonly frames: number;
  readonly slots: number;
};

/** Entries of one slot per transaction. */
const batchEntries = 1000;
const mapBytes = 16 * 2 ** 30;
const stageNames = ['decode', 'check', 'encode', 'apply', 'commit'] as const;
type Stage = (typeof stageNames)[number];

function cpuUsNow(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU time by stage, helper threads included. Units: microseconds. */
class StageTimes {
  readonly usByStage: Record<Stage, number> = { decode: 0, check: 0, encode: 0, apply: 0, commit: 0 };
  #sinceUs = 0;

  start(): void {
    this.#sinceUs = cpuUsNow();
  }

  /** Attributes the time since the last mark to a stage. */
  mark(stage: Stage): void {
    const nowUs = cpuUsNow();
    this.usByStage[stage] += nowUs - this.#sinceUs;
    this.#sinceUs = nowUs;
  }
}

/** Slots whose effects are delivered by direct calls. */
class SlotSet {
  readonly #slots: Slot[];
  readonly #chunks: Buffer[][];
  readonly #writer = new ByteWriter(2 ** 16);
  readonly #times: StageTimes;

  constructor(folder: string, count: number, times: StageTimes) {
    this.#times = times;
    mkdirSync(folder, { recursive: true });
    this.#slots = Array.from({ length: count }, (_unused, index) =>
      Slot.open({ index, slots: count, path: join(folder, String(index)), mapBytes }),
    );
    this.#chunks = this.#slots.map(() => []);
    // The outbox is written last before the commit, so its end separates the two stages.
    for (const { outbox } of this.#slots) {
      const flush = outbox.flush.bind(outbox);
      outbox.flush = () => {
        const batches = flush();
        times.mark('apply');
        return batches;
      };
    }
  }

  add(slot: number, items: readonly Buffer[]): void {
    writeChunk(this.#writer, { slot, origin: null, items, marks: [] });
    this.#chunks[slot]!.push(this.#writer.finish());
  }

  #send(source: Slot, { target, previousMark, items, marks }: OutboxBatch): void {
    const { index, generation, session, slots: targetSlots } = source;
    const origin = { slot: index, generation, session, previousMark, known: { session: 0, mark: 0 }, targetSlots };
    writeChunk(this.#writer, { slot: target, origin, items, marks });
    this.#chunks[target]!.push(this.#writer.finish());
  }

  /** Runs every slot that has work once. Returns: whether one had. */
  runAll(): boolean {
    let hasRun = false;
    for (const slot of this.#slots) {
      const chunks = this.#chunks[slot.index]!.splice(0);
      if (chunks.length === 0 && !slot.hasUnapplied) continue;
      hasRun = true;
      this.#times.start();
      const { batches } = slot.run(chunks, systemClock.nowMs());
      this.#times.mark('commit');
      for (const batch of batches) {
        this.#send(slot, batch);
        this.#deliver(slot, batch);
      }
    }
    return hasRun;
  }

  /** The target's acknowledgement of a batch comes with the source's next entries. */
  #deliver(source: Slot, { target, lastMark }: OutboxBatch): void {
    this.add(source.index, [encodeEntry({ kind: 'delivered', target, mark: lastMark })]);
  }

  async close(): Promise<void> {
    for (const slot of this.#slots) await slot[Symbol.asyncDispose]();
  }
}

type Checked = { readonly entry: Entry | null; readonly did: string; readonly records: number };

const entryWriter = new ByteWriter(2 ** 16);

function encode(entry: Entry): Buffer {
  writeEntry(entryWriter, entry);
  return entryWriter.finish();
}

const counters = createIngestCounters(new Registry());

function check(event: FirehoseEvent): Checked {
  if (event.kind === 'identity') {
    const { did, handle, eventMs } = event;
    const empty = '{}';
    const identity = { handle, verifiedAtMs: eventMs, keysJson: empty, servicesJson: empty, eventMs };
    return { entry: { kind: 'identity', did, ...identity }, did, records: 0 };
  }
  if (event.kind !== 'commit') return { entry: null, did: '', records: 0 };
  const { did, rev, since, eventMs } = event;
  const ops = keepSoundOps(did, event.ops, event.badOps, counters);
  return { entry: { kind: 'commit', did, rev, since, eventMs, ops }, did, records: event.ops.length };
}

/** Reads events in batches, as reading the file belongs to no stage. */
function* batchesOf(options: StageOptions): Generator<Buffer[]> {
  const batchFrames = batchEntries * Math.min(options.slots, 16);
  let batch: Buffer[] = [];
  let left = options.frames;
  for (const frame of readFrames(options.framesPath)) {
    if (left-- <= 0) break;
    batch.push(frame);
    if (batch.length < batchFrames) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Measures the stages. Units: microseconds of CPU per record. */
export async function measureStages(options: StageOptions): Promise<Figures> {
  const { folder, slots } = options;
  const times = new StageTimes();
  const set = new SlotSet(folder, slots, times);
  let records = 0;
  for (const frames of batchesOf(options)) {
    times.start();
    const events = frames.map(decodeFirehoseMessage);
    times.mark('decode');
    const checked = events.map((event) => {
      if (!event.ok) throw new Error(`a generated event is refused: ${event.reason}`);
      return check(event.value);
    });
    times.mark('check');
    const itemsBySlot = new Map<number, Buffer[]>();
    for (const { entry, did, records: count } of checked) {
      if (entry === null) continue;
      records += count;
      const slot = slotOf(did, slots);
      const items = itemsBySlot.get(slot);
      if (items === undefined) itemsBySlot.set(slot, [encode(entry)]);
      else items.push(encode(entry));
    }
    for (const [slot, items] of itemsBySlot) set.add(slot, items);
    times.mark('encode');
    set.runAll();
  }
  while (set.runAll());
  await set.close();
  return Object.fromEntries(stageNames.map((name) => [`${name}_cpu_us`, times.usByStage[name] / records]));
}
