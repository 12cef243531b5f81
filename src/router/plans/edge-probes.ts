/**
 * Probes of outgoing edges, each in the slot of the edge's owner, gathered into one message a node.
 *
 * Every relation is asked in its own direction: "does A block B" in A's slot, "does B block A" in
 * B's. DIDs stay bytes of the request.
 */
import { probedEdges } from '../../atproto/edge-kind.ts';
import { varintBytes, writeVarint } from '../../base/varint.ts';
import { wireType } from '../../proto/message-decoder.ts';
import { type EdgeProbe, encodeProbes, openProbesAnswer } from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { slotOfDid } from '../plan/slot-finder.ts';

/** The part of an edge's URI between the DID and the rkey. */
const pathByKind: { readonly [bit: number]: Buffer } = Object.fromEntries(
  probedEdges.map((edge) => [edge.probeBit, Buffer.from(`/${edge.collection}/`)]),
);
const uriHead = Buffer.from('at://');
/** Rkeys that a probe has room for: as many as its greatest bit. */
const rkeysPerProbe = Math.max(...probedEdges.map((edge) => edge.probeBit));

/** What is asked of one node. */
type NodeProbes = {
  readonly node: number;
  /** Ids of the DIDs that its message lists. */
  readonly listed: number[];
  /** Index of a DID in `listed` by its id, -1 while it has none. */
  readonly indexOf: Int32Array;
  readonly probes: EdgeProbe[];
  /** Ids of these probes. */
  readonly probeIds: number[];
};

/**
 * Gathers probes, asks them once, then writes the URIs of the edges that were found, by probe and
 * kind.
 */
export class EdgeProbes {
  readonly #fanOut: FanOut;
  readonly #source: Buffer;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** By the id of a DID; -1 for what is no DID. */
  readonly #nodes: number[] = [];
  readonly #batchByNode: (NodeProbes | undefined)[] = [];
  /** Ids of DIDs, by probe. */
  readonly #owners: number[] = [];
  /** By probe: the answer that holds its rkeys. */
  readonly #answers: Buffer[] = [];
  /** By probe and kind: the range of the rkey in that answer, empty for no edge. */
  #rkeyStarts = new Int32Array(0);
  #rkeyEnds = new Int32Array(0);

  /** `request` is copied, since it must not be kept. */
  constructor(fanOut: FanOut, request: Buffer) {
    this.#fanOut = fanOut;
    this.#source = Buffer.from(request);
  }

  /**
   * Returns the id by which probes name the DID at `start..end` of the request. All are added
   * before the first probe.
   */
  did(start: number, end: number): number {
    const slot = slotOfDid(this.#source, start, end, this.#fanOut.map.slots);
    this.#nodes.push(slot < 0 ? -1 : this.#fanOut.nodeBySlot[slot]!);
    this.#starts.push(start);
    return this.#ends.push(end) - 1;
  }

  #indexOf({ indexOf, listed }: NodeProbes, id: number): number {
    if (indexOf[id]! < 0) indexOf[id] = listed.push(id) - 1;
    return indexOf[id]!;
  }

  /**
   * Adds a probe for edges of some kinds between two DIDs, and returns its id.
   *
   * What is no DID has no edges, as on the official plane.
   */
  add(owner: number, kinds: number, subject: number): number {
    const probe = this.#owners.push(owner) - 1;
    const node = this.#nodes[owner]!;
    if (node < 0 || this.#nodes[subject]! < 0) return probe;
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

  /** Sends the probes to their nodes. */
  async ask(deadlineMs: number): Promise<void> {
    const batches = this.#batchByNode.filter((batch) => batch !== undefined);
    const dids = { source: this.#source, starts: this.#starts, ends: this.#ends };
    const subRequests = batches.map(({ node, listed, probes }) => ({
      node,
      payload: encodeProbes(dids, listed, probes),
    }));
    const answers = await this.#fanOut.askAll(nodeCalls.probeEdges, subRequests, deadlineMs);
    const rkeys = this.#owners.length * rkeysPerProbe;
    this.#rkeyStarts = new Int32Array(rkeys);
    this.#rkeyEnds = new Int32Array(rkeys);
    for (let index = 0; index < batches.length; index++) this.#takeAnswer(batches[index]!, answers[index]!);
  }

  /** Errors: DataPlaneError `Internal` when the node answered too few or too many. */
  #takeAnswer({ probes, probeIds }: NodeProbes, answer: Uint8Array): void {
    const reader = openProbesAnswer(answer);
    for (let index = 0; index < probeIds.length; index++) {
      const probe = probeIds[index]!;
      const { kinds } = probes[index]!;
      for (let kind = 1; kind <= kinds; kind *= 2) {
        if ((kinds & kind) === 0) continue;
        const at = probe * rkeysPerProbe + kind - 1;
        this.#rkeyStarts[at] = reader.lengthDelimitedRange();
        this.#rkeyEnds[at] = reader.position;
      }
      this.#answers[probe] = reader.buffer;
    }
    reader.end();
  }

  /**
   * Returns the bytes of the URI of the record that makes an edge, 0 when there is none. `kind` is
   * one bit.
   */
  uriBytes(probe: number, kind: number): number {
    const at = probe * rkeysPerProbe + kind - 1;
    const rkeyBytes = this.#rkeyEnds[at]! - this.#rkeyStarts[at]!;
    if (rkeyBytes === 0) return 0;
    const owner = this.#owners[probe]!;
    return uriHead.length + this.#ends[owner]! - this.#starts[owner]! + pathByKind[kind]!.length + rkeyBytes;
  }

  /** Returns the bytes of the field that `writeUriField` writes. */
  uriFieldBytes(probe: number, kind: number): number {
    const bytes = this.uriBytes(probe, kind);
    return bytes === 0 ? 0 : 1 + varintBytes(bytes) + bytes;
  }

  /**
   * Writes the URI as a field, nothing when there is no edge. Returns the position after it. Shape:
   * `number` is below 16.
   */
  writeUriField(into: Buffer, position: number, number: number, probe: number, kind: number): number {
    const bytes = this.uriBytes(probe, kind);
    if (bytes === 0) return position;
    const owner = this.#owners[probe]!;
    const rkeyAt = probe * rkeysPerProbe + kind - 1;
    let at = writeVarint(into, position, number * 8 + wireType.lengthDelimited);
    at = writeVarint(into, at, bytes);
    at += uriHead.copy(into, at);
    at += this.#source.copy(into, at, this.#starts[owner]!, this.#ends[owner]!);
    at += pathByKind[kind]!.copy(into, at);
    return at + this.#answers[probe]!.copy(into, at, this.#rkeyStarts[rkeyAt]!, this.#rkeyEnds[rkeyAt]!);
  }
}
