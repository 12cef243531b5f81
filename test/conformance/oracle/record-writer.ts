/** Writes of records, valid or not, at the PDS. */
import type { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';

/** A record that exists at the PDS. */
export interface StoredRecord {
  readonly uri: string;
  readonly cid: string;
}

/** A record without `$type`, which the PDS adds. */
export type RecordBody = Readonly<Record<string, unknown>>;

/**
 * Writes raw records at the PDS as seeded accounts.
 *
 * The PDS does not validate them, so that records that a data plane must refuse reach the firehose.
 */
export class RecordWriter {
  readonly #seed: PrefixedSeedClient;

  constructor(seed: PrefixedSeedClient) {
    this.#seed = seed;
  }

  /** Returns the DID of a seeded account. */
  did(name: string): string {
    const did = this.#seed.dids[name];
    if (did === undefined) throw new Error(`no account is called ${name}`);
    return did;
  }

  /** A client of the PDS without an account. */
  get agent(): PrefixedSeedClient['agent'] {
    return this.#seed.agent;
  }

  /** Waits until all planes have applied what was written so far. */
  async settle(): Promise<void> {
    await this.#seed.network.processAll();
  }

  /** Creates a record under the given rkey, else one chosen by the PDS. */
  async create(by: string, collection: string, body: RecordBody, rkey?: string): Promise<StoredRecord> {
    const record = { $type: collection, ...body };
    const input = { repo: this.did(by), collection, record, validate: false, ...(rkey === undefined ? {} : { rkey }) };
    const { data } = await this.#seed.agent.com.atproto.repo.createRecord(input, this.#as(by));
    return { uri: data.uri, cid: data.cid };
  }

  /** Replaces a record, or creates it. */
  async put(by: string, collection: string, rkey: string, body: RecordBody): Promise<StoredRecord> {
    const record = { $type: collection, ...body };
    const input = { repo: this.did(by), collection, rkey, record, validate: false };
    const { data } = await this.#seed.agent.com.atproto.repo.putRecord(input, this.#as(by));
    return { uri: data.uri, cid: data.cid };
  }

  /** Uploads a blob. Returns: what a record has of it, in JSON. */
  async upload(by: string, bytes: Buffer, mimeType: string): Promise<RecordBody> {
    const options = { headers: this.#as(by).headers, encoding: mimeType };
    const { data } = await this.#seed.agent.com.atproto.repo.uploadBlob(bytes, options);
    return { $type: 'blob', ref: { $link: data.blob.ref.toString() }, mimeType, size: bytes.length };
  }

  /** Deletes a record of one of the seeded accounts. */
  async delete(uri: string): Promise<void> {
    const [, , did, collection, rkey] = uri.split('/');
    const name = Object.keys(this.#seed.dids).find((key) => this.#seed.dids[key] === did);
    if (name === undefined || collection === undefined || rkey === undefined) throw new Error(`cannot delete ${uri}`);
    await this.#seed.agent.com.atproto.repo.deleteRecord({ repo: this.did(name), collection, rkey }, this.#as(name));
  }

  /** Changes the handle of an account. */
  async changeHandle(name: string, handle: string): Promise<void> {
    await this.#seed.agent.com.atproto.identity.updateHandle({ handle: handle as `${string}.test` }, this.#as(name));
  }

  /** Deactivates an account. */
  async deactivate(name: string): Promise<void> {
    await this.#seed.agent.com.atproto.server.deactivateAccount({}, this.#as(name));
  }

  /** Reactivates an account. */
  async activate(name: string): Promise<void> {
    await this.#seed.agent.com.atproto.server.activateAccount(undefined, { headers: this.#as(name).headers });
  }

  /** Deletes an account, as an administrator of the PDS. */
  async deleteAccount(name: string): Promise<void> {
    const { pds } = this.#seed.network;
    const options = { headers: pds.adminAuthHeaders(), encoding: 'application/json' } as const;
    await this.#seed.agent.com.atproto.admin.deleteAccount({ did: this.did(name) }, options);
  }

  #as(by: string): { headers: { authorization: string }; encoding: 'application/json' } {
    const did = this.did(by) as Parameters<PrefixedSeedClient['getHeaders']>[0];
    return { headers: this.#seed.getHeaders(did), encoding: 'application/json' };
  }
}
