/**
 * What input from strangers may be, and what it may expand to: one table for all decoders.
 *
 * Bytes that arrive say little about what they become. Ops may name one block many times, a byte of
 * CBOR becomes up to `jsonExpansionMax` bytes of JSON, and a tree may repeat a record under any
 * number of keys. So everything is also counted as it will be stored, before it is copied.
 */
export const inputLimits = {
  /** One message of an event stream. Units: bytes. */
  messageBytesMax: 5_242_880,
  /** Values and keys of a message without its blocks; the largest commit has 2,500. */
  messageItemsMax: 20_000,
  /** A notice's name, which is counted, and its message, which is logged. Units: characters. */
  messageNameLengthMax: 64,
  messageTextLengthMax: 500,
  /** Messages of one source whose events are not durable yet. Units: bytes. */
  messagesHeldBytesMax: 134_217_728,
  /** Ops, blocks and bytes of the CAR of one commit. Source: the lexicon of subscribeRepos. */
  commitOpsMax: 200,
  commitBlocksMax: 10_000,
  commitCarBytesMax: 2_000_000,
  /** Record blocks of one commit, each once for every op that names it. Units: bytes. */
  commitRecordBytesMax: 2_000_000,
  /** JSON of one commit's records, likewise. Records that are shared by no ops need half of it. */
  commitJsonBytesMax: 4_194_304,

  /**
   * Values and keys of all its records together. Units: count. Decoding costs by the item: this
   * many hold the event loop for some 40 ms at worst, and posts have about 30.
   */
  commitItemsMax: 100_000,

  /** One record's block. Source: the protocol's recommended limit, which hosts enforce. */
  recordBytesMax: 1_048_576,
  /**
   * One record's JSON. The largest block has room for as much text as this, and answers hold many
   * records. Real records take a few KiB, and their JSON is at most twice their block.
   */
  recordJsonBytesMax: 1_048_576,

  /** Records of one entry of a snapshot, and bytes of their blocks and of their JSON. */
  chunkRecordsMax: 256,
  chunkRecordBytesMax: 524_288,
  chunkJsonBytesMax: 4_194_304,
  /** Values and keys of its records, and bytes of tree nodes read for it, by the event loop. */
  chunkItemsMax: 50_000,
  chunkNodeBytesMax: 1_048_576,

  /**
   * A repo's CAR, which is held in memory whole. Units: bytes, blocks, bytes of one block. The
   * largest real repos have a few hundred MB; one that fills this has about two million records.
   */
  repoCarBytesMax: 2 ** 29,
  repoBlocksMax: 8_000_000,
  repoBlockBytesMax: 2_097_152,
  /** A repo's tree. Units: keys, levels, bytes of one node and of one key. */
  repoRecordsMax: 4_000_000,
  repoTreeDepthMax: 128,
  repoNodeBytesMax: 262_144,
  repoKeyBytesMax: 1024,
  /**
   * Record blocks of a repo, each once for every key that names it: this many times the bytes of
   * its CAR, or `repoRecordBytesMin` if that is more. Repos whose keys share no records need one.
   */
  repoExpansionMax: 2,
  repoRecordBytesMin: 8_388_608,

  /** A DID document; the directory's have at most about 10 KB. Units: bytes. */
  documentBytesMax: 65_536,
  /** Repos and characters of the token of one page of a host's list; we ask for 1,000. */
  listingReposMax: 10_000,
  listingTokenLengthMax: 2_048,

  /** One block or message of DAG-CBOR. Units: levels, values and keys, bytes. */
  cborDepthMax: 64,
  cborItemsMax: 100_000,
  cborBytesMax: 8_388_608,
} as const;
