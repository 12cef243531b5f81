/**
 * The binary messages of hot reads: the version byte, and lists of texts.
 *
 * Control messages are CBOR, see control-codec.ts.
 */
import { type ByteReader, ByteWriter } from '../base/bytes.ts';
import { peerReader } from './peer-bytes.ts';

/** The first byte of every message. */
export const messageVersion = 2;
const writer = new ByteWriter(4096);

/** Begins a message in a writer that the next `beginMessage` reuses. */
export function beginMessage(): ByteWriter {
  return writer.clear().u8(messageVersion);
}

/** Opens a message of another process. Errors: DataPlaneError `Internal` for another version. */
export function openMessage(bytes: Uint8Array, what: string): ByteReader {
  const reader = peerReader(bytes, what);
  const version = reader.u8();
  if (version !== messageVersion) reader.fail(`version ${version} is not ${messageVersion}: routers and nodes differ`);
  return reader;
}

/** Writes a count and as many texts. */
export function writeTexts(into: ByteWriter, texts: readonly string[]): ByteWriter {
  into.varint(texts.length);
  for (const text of texts) into.text(text);
  return into;
}

/** Writes a message that is a list of texts. */
export function encodeTexts(texts: readonly string[]): Buffer {
  return writeTexts(beginMessage(), texts).finish();
}

/** Reads a message that is a list of texts. */
export function decodeTexts(bytes: Uint8Array): string[] {
  const reader = openMessage(bytes, 'texts');
  const texts = reader.texts();
  reader.end();
  return texts;
}
