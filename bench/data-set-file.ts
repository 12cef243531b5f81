/**
 * Files of generated data, which read far faster than it is generated: no bench times a generator.
 *
 * Shape: 8 bytes `SKYDATA` and the version; 1 byte kind (1 frames, 3 entries); then items, each
 * length-delimited by 4 bytes. A frame is the firehose message itself. `<file>.truth.json` holds
 * the options, and what must be read after applying the file.
 */
import { closeSync, openSync, readFileSync, readSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import type { RepoOp } from '../src/atproto/repo-op.ts';
import { ByteReader, ByteWriter } from '../src/base/bytes.ts';
import type { CommitEntry, IdentityEntry } from '../src/entry/entry.ts';
import { EntryMaker, FrameMaker, type GraphOutputOptions, openGraphEvents } from './graph-output.ts';
import { GroundTruth, type Truth } from './ground-truth.ts';

export type DataSetKind = 'frames' | 'entries';

const magic = Buffer.from('SKYDATA\x01', 'latin1');
const kindCode = { frames: 1, entries: 3 } as const;
const headBytes = 9;
const chunkBytes = 4 * 2 ** 20;
const actions = ['create', 'update', 'delete'] as const;

export type DataSetEntry = CommitEntry | IdentityEntry;

export type DataSetTruth = { readonly options: GraphOutputOptions; readonly items: number; readonly truth: Truth };

function writeEntry(writer: ByteWriter, entry: DataSetEntry): void {
  if (entry.kind === 'identity') {
    writer
      .u8(1)
      .text(entry.did)
      .u48(entry.eventMs)
      .text(entry.handle ?? '');
    writer.text(entry.keysJson).text(entry.servicesJson);
    return;
  }
  writer.u8(0).text(entry.did).u48(entry.eventMs).text(entry.rev);
  writer.text(entry.since ?? '').varint(entry.ops.length);
  for (const op of entry.ops) {
    writer
      .u8(actions.indexOf(op.action))
      .text(op.collection)
      .text(op.rkey)
      .lengthDelimited(op.cid)
      .lengthDelimited(op.block);
  }
}

function readEntry(bytes: Buffer): DataSetEntry {
  const reader = new ByteReader(bytes);
  const kind = reader.u8();
  const did = reader.text();
  const eventMs = reader.u48();
  if (kind === 1) {
    const handle = reader.text();
    const keysJson = reader.text();
    return { kind: 'identity', did, handle, verifiedAtMs: eventMs, keysJson, servicesJson: reader.text(), eventMs };
  }
  const rev = reader.text();
  const since = reader.text();
  const ops: RepoOp[] = new Array(reader.varint());
  for (let index = 0; index < ops.length; index++) {
    const action = actions[reader.u8()]!;
    ops[index] = {
      action,
      collection: reader.text(),
      rkey: reader.text(),
      cid: reader.lengthDelimited(),
      block: reader.lengthDelimited(),
    };
  }
  return { kind: 'commit', did, rev, since: since === '' ? null : since, eventMs, ops };
}

/** Writes length-delimited items, in large writes. */
class ItemFile {
  readonly #file: number;
  readonly #writer = new ByteWriter(chunkBytes + 65_536);
  items = 0;
  bytes = headBytes;

  constructor(path: string, kind: DataSetKind) {
    this.#file = openSync(path, 'w');
    this.#writer.bytes(magic).u8(kindCode[kind]);
  }

  add(item: Uint8Array): void {
    this.#writer.u32(item.length).bytes(item);
    this.items++;
    this.bytes += 4 + item.length;
    if (this.#writer.length >= chunkBytes) this.#flush();
  }

  #flush(): void {
    const chunk = this.#writer.finish();
    for (let written = 0; written < chunk.length; ) {
      written += writeSync(this.#file, chunk, written);
    }
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }
}

export type WrittenDataSet = { readonly items: number; readonly bytes: number; readonly truth: Truth };

/**
 * Generates a data set into a file, and its truth next to it. Only a whole file gets its name.
 *
 * Returns: counts, and what must be true after applying all of it.
 */
export function writeDataSet(path: string, kind: DataSetKind, options: GraphOutputOptions): WrittenDataSet {
  const { graph, events } = openGraphEvents(options);
  const truth = new GroundTruth(graph.state.actors, options.records);
  const partPath = `${path}.part`;
  const file = new ItemFile(partPath, kind);
  const entries = new EntryMaker(graph);
  const frames = new FrameMaker(graph);
  const writer = new ByteWriter(4096);
  for (const event of events) {
    truth.observe(event);
    if (kind === 'frames') {
      file.add(frames.frameOf(event));
      continue;
    }
    const entry = entries.entryOf(event);
    if (entry === null) continue;
    writeEntry(writer, entry);
    file.add(writer.finish());
  }
  file.close();
  const written: DataSetTruth = { options, items: file.items, truth: truth.truth() };
  writeFileSync(`${path}.truth.json`, JSON.stringify(written));
  renameSync(partPath, path);
  return { items: file.items, bytes: file.bytes, truth: written.truth };
}

/**
 * Yields a file's items. Each chunk of the file has its own memory, so items may be kept.
 *
 * Errors: Error when the file is not of this kind and version, or ends inside an item.
 */
function* readItems(path: string, kind: DataSetKind): Generator<Buffer, void, undefined> {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(headBytes);
    readSync(file, head);
    if (!head.subarray(0, magic.length).equals(magic)) throw new Error(`${path} is not a data set of this version`);
    if (head[magic.length] !== kindCode[kind]) throw new Error(`${path} does not hold ${kind}`);
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.allocUnsafeSlow(rest.length + chunkBytes);
      rest.copy(chunk);
      const read = readSync(file, chunk, rest.length, chunkBytes, null);
      const end = rest.length + read;
      let position = 0;
      while (position + 4 <= end) {
        const next = position + 4 + chunk.readUInt32BE(position);
        if (next > end) break;
        yield chunk.subarray(position + 4, next);
        position = next;
      }
      rest = chunk.subarray(position, end);
      if (read === 0) break;
    }
    if (rest.length > 0) throw new Error(`${path} ends inside an item`);
  } finally {
    closeSync(file);
  }
}

export function readFrames(path: string): Generator<Buffer, void, undefined> {
  return readItems(path, 'frames');
}

export function* readEntries(path: string): Generator<DataSetEntry, void, undefined> {
  for (const item of readItems(path, 'entries')) yield readEntry(item);
}

/** Returns what must be read after applying a file. */
export function readTruth(path: string): DataSetTruth {
  return JSON.parse(readFileSync(`${path}.truth.json`, 'utf8')) as DataSetTruth;
}
