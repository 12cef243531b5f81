/** A labeler by script: its keys, its DID document, and labels that it signs. */
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { ByteString, type DagMap } from '../../src/atproto/dag-value.ts';
import { frameOf } from '../unit/atproto/signed-repo.ts';
import { encodeDagCbor } from './dag-cbor.ts';
import { ScriptedNetwork } from './scripted-network.ts';

type Keypair = P256Keypair | Secp256k1Keypair;

export function newKey(curve: 'k256' | 'p256' = 'k256'): Promise<Keypair> {
  return curve === 'k256' ? Secp256k1Keypair.create({ exportable: true }) : P256Keypair.create({ exportable: true });
}

/** Returns a label, signed and encoded by the protocol's own libraries. */
export async function signedLabel(key: Keypair, fields: DagMap): Promise<DagMap> {
  return { ...fields, sig: new ByteString(await key.sign(encodeDagCbor(fields))) };
}

/** Returns a message of labels. */
export function labelsFrame(seq: number, labels: readonly DagMap[]): Buffer {
  return frameOf({ op: 1, t: '#labels' }, { seq, labels: [...labels] });
}

export class ScriptedLabeler {
  readonly did: string;
  readonly stream: ScriptedNetwork;
  key: Keypair;
  #seq = 0;

  private constructor(did: string, stream: ScriptedNetwork, key: Keypair) {
    this.did = did;
    this.stream = stream;
    this.key = key;
  }

  static async start(did: string, port = 0): Promise<ScriptedLabeler> {
    const stream = await ScriptedNetwork.start(port, 'com.atproto.label.subscribeLabels');
    return new ScriptedLabeler(did, stream, await newKey());
  }

  get url(): string {
    return this.stream.url;
  }

  get document(): Record<string, unknown> {
    const { did } = this;
    const publicKeyMultibase = this.key.did().slice('did:key:'.length);
    return {
      id: did,
      verificationMethod: [{ id: `${did}#atproto_label`, type: 'Multikey', controller: did, publicKeyMultibase }],
      service: [{ id: '#atproto_labeler', type: 'AtprotoLabeler', serviceEndpoint: this.url }],
    };
  }

  /** Signs labels and sends them in one message. Returns its seq. */
  async publish(...labels: readonly DagMap[]): Promise<number> {
    const seq = ++this.#seq;
    const signed = await Promise.all(labels.map((label) => signedLabel(this.key, this.labelOf(label))));
    this.stream.publish(seq, labelsFrame(seq, signed));
    return seq;
  }

  /** The fields of a label, which may be changed. */
  labelOf(fields: DagMap): DagMap {
    return { ver: 1, src: this.did, val: 'spam', cts: new Date().toISOString(), ...fields };
  }

  /** Sends what the test made. */
  publishFrame(frameOfSeq: (seq: number) => Buffer): number {
    const seq = ++this.#seq;
    this.stream.publish(seq, frameOfSeq(seq));
    return seq;
  }

  close(): Promise<void> {
    return this.stream.close();
  }
}
