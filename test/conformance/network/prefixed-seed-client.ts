/**
 * The official seed client with two changes that let every seed run on one network.
 *
 * Handles get a prefix, because many seeds create an `alice.test`; and images are made here,
 * because the published package lacks those that the seeds upload.
 */
import { RecordRef, SeedClient } from '@atproto/dev-env';
import type { AtNetwork } from './at-network.ts';
import { BsyncWriter } from './bsync-writer.ts';

type Client = SeedClient<AtNetwork>;
type Handle = Parameters<Client['createAccount']>[1]['handle'];

// The first bytes of a JPEG and an MP4 file, all that decides the type of a blob.
const jpeg = Uint8Array.of(
  ...[0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01],
  ...[0x00, 0x01, 0x00, 0x00, 0xff, 0xd9],
);
const mp4 = new TextEncoder().encode('\0\0\0\x18ftypmp42\0\0\0\0mp42isom');

/** Creates accounts and records at the network's PDS, and keeps them by name. */
export class PrefixedSeedClient extends SeedClient<AtNetwork> {
  readonly prefix: string;
  #lastCreated: Promise<void> = Promise.resolve();

  constructor(network: AtNetwork, prefix: string) {
    super(network, network.pds.getAgent(), network.pds.getClient());
    this.prefix = prefix;
  }

  override createAccount(
    ...[shortName, params]: Parameters<Client['createAccount']>
  ): ReturnType<Client['createAccount']> {
    const handle = `${this.prefix}${params.handle}` as Handle;
    const create = (): ReturnType<Client['createAccount']> =>
      super.createAccount(shortName, { ...params, handle, email: `${this.prefix}${params.email}` });
    // One by one, because hashing fifty passwords at once starves the look-ups of the planes.
    const created = this.#lastCreated.then(create);
    this.#lastCreated = created.then(
      () => undefined,
      () => undefined,
    );
    return created;
  }

  override async createProfile(
    ...[by, displayName, description, labels, joinedViaStarterPack, overrides]: Parameters<Client['createProfile']>
  ): ReturnType<Client['createProfile']> {
    const headers = this.getHeaders(by);
    const upload = await this.agent.com.atproto.repo.uploadBlob(jpeg, { encoding: 'image/jpeg', headers });
    const avatar = upload.data.blob;
    const record = {
      displayName,
      description,
      avatar,
      createdAt: new Date().toISOString(),
      ...(labels === undefined ? {} : { labels: selfLabels(labels) }),
      ...(joinedViaStarterPack === undefined ? {} : { joinedViaStarterPack: joinedViaStarterPack.raw }),
      ...overrides,
    };
    const { uri, cid } = await this.agent.app.bsky.actor.profile.create({ repo: by }, record, headers);
    const cidOfAvatar = { cid: avatar.ref.toString(), mimeType: avatar.mimeType };
    const profile = {
      displayName,
      description,
      avatar: cidOfAvatar,
      joinedViaStarterPack,
      ref: new RecordRef(uri, cid),
    };
    this.profiles[by] = profile;
    // Left out when absent, as exactOptionalPropertyTypes requires.
    return { ...profile, ...(joinedViaStarterPack === undefined ? {} : { joinedViaStarterPack }) } as Awaited<
      ReturnType<Client['createProfile']>
    >;
  }

  override async reply(...args: Parameters<Client['reply']>): ReturnType<Client['reply']> {
    // The official plane never notifies an author of a reply indexed before the post.
    await this.network.processOfficial();
    return await super.reply(...args);
  }

  override async mute(...[from, to]: Parameters<Client['mute']>): ReturnType<Client['mute']> {
    // As the AppView does, which not every network has.
    await new BsyncWriter(this.network.bsync.url).mute('ADD', from, to);
  }

  override async uploadFile(
    ...[by, filePath, encoding]: Parameters<Client['uploadFile']>
  ): ReturnType<Client['uploadFile']> {
    const bytes = encoding === 'video/mp4' ? mp4 : jpeg;
    const { data } = await this.agent.com.atproto.repo.uploadBlob(bytes, { encoding, headers: this.getHeaders(by) });
    return { image: data.blob, alt: filePath };
  }
}

function selfLabels(values: readonly string[]): {
  $type: 'com.atproto.label.defs#selfLabels';
  values: { val: string }[];
} {
  return { $type: 'com.atproto.label.defs#selfLabels', values: values.map((val) => ({ val })) };
}
