/**
 * Probes of outgoing edges, each in the slot of the edge's owner, in one message for each node.
 *
 * "Does A block B" is asked in A's slot, "does B block A" in B's. DIDs stay bytes of the request.
 */
import { probedEdges } from '../../atproto/edge-kind.ts';
import type { ByteReader } from '../../base/bytes.ts';
import { varintBytes, writeVarint } from '../../base/varint.ts';
import { copyBytes } from '../../proto/fields.ts';
import { wireType } from '../../proto/message-decoder.ts';
import {
  type DidRanges,
  type EdgeProbe,
  encodeProbes,
  openProbesAnswer,
  privateBit,
  type RawLists,
  readSubscriptions,
  valueBits,
} from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { nodeOfDid } from '../plan/slot-finder.ts';

/** The part of an edge's URI between DID and rkey. */
const pathByKind: { readonly [bit: number]: Buffer } = Object.fromEntries(
  probedEdges.map((edge) => [edge.probeBit, Buffer.from(`/${edge.collection}/`)]),
);
const uriHead = Buffer.from('at://');
/** Entries for the values of a probe; a kind's is at its bit, so some stay empty. */
const entriesPerFound = valueBits + 1;
const noEntries: readonly number[] = new Array<number>(entriesPerFound).fill(0);

/** The message to one node. */
type NodeProbes = {
  readonly node: number;
  /** The ids of the DIDs that the message lists. */
  readonly listed: number[];
  /** By id of a DID: its index in `listed`, or -1. */
  readonly indexOf: Int32Array;
  readonly probes: EdgeProbe[];
  readonly probeIds: number[];
};

function idOf({ listed }: NodeProbes, index: number, reader: ByteReader): number {
  return listed[index] ?? reader.fail('subscriptions of a DID that is not listed');
}

/** The lists to which the DID with this id subscribes, of the kind of one bit. */
export type ListSubscriptions = { readonly did: number; readonly bit: number; readonly lists: RawLists };

/** Collects DIDs, then probes; sends them once; then writes the URIs of the edges found. */
export class EdgeProbes {
  readonly #fanOut: FanOut;
  readonly #source: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** By id of a DID; -1 for a malformed one. */
  readonly #nodes: number[] = [];
  readonly #batchByNode: (NodeProbes | undefined)[] = [];
  /** By probe: the id of a DID. */
  readonly #owners: number[] = [];
  /** By probe: where its values begin in the next three; the first ones there are of none. */
  #entriesOf = new Int32Array(0);
  /** Above that by the bit of a kind: the range of its value in an answer, empty without one. */
  readonly #valueStarts: number[] = [...noEntries];
  readonly #valueEnds: number[] = [...noEntries];
  readonly #answers: Buffer[] = [];
  /** Of the owners of probes that ask for lists; those without any are left out. */
  readonly subscriptions: ListSubscriptions[] = [];

  /** Copies `request`, whose memory is not ours to keep. */
  constructor(fanOut: FanOut, request: Buffer) {
    this.#fanOut = fanOut;
    this.#source = Buffer.from(request);
  }

  /** Adds the DID at `start..end` of the request; all precede the first probe. Returns its id. */
  did(start: number, end: number): number {
    this.#nodes.push(nodeOfDid(this.#source, start, end, this.#fanOut));
    this.#starts.push(start);
    return this.#ends.push(end) - 1;
  }

  #indexOf({ indexOf, listed }: NodeProbes, id: number): number {
    if (indexOf[id]! < 0) indexOf[id] = listed.push(id) - 1;
    return indexOf[id]!;
  }

  /** Adds a probe and returns its id. A malformed DID has no edges, as on the official plane. */
  add(owner: number, kinds: number, subject: number): number {
    const probe = this.#owners.push(owner) - 1;
    const node = this.#nodes[owner]!;
    if (kinds === 0 || node < 0 || this.#nodes[subject]! < 0) return probe;
    let batch = this.#batchByNode[node];
    if (batch === undefined) {
      const indexOf = new Int32Array(this.#nodes.length).fill(-1);
      batch = { node, listed: [], indexOf, probes: [], probeIds: [] };
      this.#batchByNode[node] = batch;
    }
    batch.probes.push({ owner: this.#indexOf(batch, owner), kinds, subject: this.#indexOf(batch, subject) });
    batch.probeIds.push(probe);
    return probe;
  }

  /** The DIDs by id, and the node of each, -1 for a malformed one. */
  get dids(): DidRanges & { readonly nodes: readonly number[] } {
    return { source: this.#source, starts: this.#starts, ends: this.#ends, nodes: this.#nodes };
  }

  async ask(deadlineMs: number): Promise<void> {
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
    const { dids } = this;
    const subRequests = batches.map(({ node, listed, probes }) => ({
      node,
      payload: encodeProbes(dids, listed, probes),
    }));
    const answers = await this.#fanOut.askAll(nodeCalls.probeEdges, subRequests, deadlineMs);
    this.#entriesOf = new Int32Array(this.#owners.length);
    for (let index = 0; index < batches.length; index++) this.#takeAnswer(batches[index]!, answers[index]!);
  }

  /** Errors: DataPlaneError `Internal` if the node answered what was not asked. */
  #takeAnswer(batch: NodeProbes, answer: Uint8Array): void {
    const { probes, probeIds } = batch;
    const reader = openProbesAnswer(answer);
    let index = -1;
    for (let step = reader.varint(); step > 0; step = reader.varint()) {
      index += step;
      const kinds = reader.u8();
      if (index >= probes.length || (kinds & ~probes[index]!.kinds) !== 0)
        reader.fail('a value that was not asked for');
      this.#takeValues(probeIds[index]!, kinds, reader);
    }
    for (const { owners, bit, lists } of readSubscriptions(reader)) {
      for (const owner of owners) this.subscriptions.push({ did: idOf(batch, owner, reader), bit, lists });
    }
    reader.end();
  }

  #takeValues(probe: number, kinds: number, reader: ByteReader): void {
    const entries = this.#valueStarts.length;
    this.#entriesOf[probe] = entries;
    this.#valueStarts.push(...noEntries);
    this.#valueEnds.push(...noEntries);
    this.#answers[entries] = reader.buffer;
    for (let kind = 1; kind <= valueBits; kind *= 2) {
      if ((kinds & kind) === 0) continue;
      this.#valueStarts[entries + kind] = reader.lengthDelimitedRange();
      this.#valueEnds[entries + kind] = reader.position;
    }
  }

  /** True when a probe found an edge or a mute. */
  hasFound(probe: number): boolean {
    return this.#entriesOf[probe] !== 0;
  }

  /** Returns the flags of a mute, 0 without one. */
  muteFlags(probe: number): number {
    const entries = this.#entriesOf[probe]!;
    const start = this.#valueStarts[entries + privateBit.mute]!;
    return this.#valueEnds[entries + privateBit.mute] === start ? 0 : this.#answers[entries]![start]!;
  }

  /** Returns the length of the URI of an edge's record, or 0 without an edge. `kind` is one bit. */
  uriBytes(probe: number, kind: number): number {
    const at = this.#entriesOf[probe]! + kind;
    const rkeyBytes = this.#valueEnds[at]! - this.#valueStarts[at]!;
    if (rkeyBytes === 0) return 0;
    const owner = this.#owners[probe]!;
    return uriHead.length + this.#ends[owner]! - this.#starts[owner]! + pathByKind[kind]!.length + rkeyBytes;
  }

  /** Returns the length of the field that `writeUriField` writes. */
  uriFieldBytes(probe: number, kind: number): number {
    const bytes = this.uriBytes(probe, kind);
    return bytes === 0 ? 0 : 1 + varintBytes(bytes) + bytes;
  }

  /** Writes the URI, if any, as a field whose number is below 16. Returns the position after it. */
  writeUriField(into: Buffer, position: number, number: number, probe: number, kind: number): number {
    const bytes = this.uriBytes(probe, kind);
    if (bytes === 0) return position;
    const owner = this.#owners[probe]!;
    const entries = this.#entriesOf[probe]!;
    let at = writeVarint(into, position, number * 8 + wireType.lengthDelimited);
    at = writeVarint(into, at, bytes);
    at += uriHead.copy(into, at);
    at = copyBytes(into, at, this.#source, this.#starts[owner]!, this.#ends[owner]!);
    at += pathByKind[kind]!.copy(into, at);
    const [start, end] = [this.#valueStarts[entries + kind]!, this.#valueEnds[entries + kind]!];
    return copyBytes(into, at, this.#answers[entries]!, start, end);
  }
}
