/**
 * Public keys of accounts, as DID documents have them, and their ECDSA signatures.
 *
 * Owns: which keys (k256 and P-256, compressed) and which signatures (64 bytes, low S) count.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { multibaseToBytes } from '@atproto/crypto';

export type Curve = 'k256' | 'p256';
export type SigningKey = { readonly curve: Curve; readonly key: KeyObject };

/** By curve: the multicodec prefix, the DER before a compressed point, half the order. */
const curves: Readonly<Record<Curve, { readonly prefix: Buffer; readonly der: Buffer; readonly halfOrder: Buffer }>> = {
  k256: {
    prefix: Buffer.from('e701', 'hex'),
    der: Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex'),
    halfOrder: Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex'),
  },
  p256: {
    prefix: Buffer.from('8024', 'hex'),
    der: Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
    halfOrder: Buffer.from('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8', 'hex'),
  },
};

const pointBytes = 33;
const signatureBytes = 64;
const dsaEncoding = 'ieee-p1363';
/** A longer text is no key, and decoding base58 takes quadratic time. */
const textLengthMax = 128;

/** Reads a multikey in multibase. Returns undefined for any other text, and for no point. */
export function parseSigningKey(multikey: string): SigningKey | undefined {
  if (multikey.length > textLengthMax) return undefined;
  try {
    const bytes = Buffer.from(multibaseToBytes(multikey));
    for (const curve of ['k256', 'p256'] as const) {
      const { prefix, der } = curves[curve];
      if (bytes.length !== prefix.length + pointBytes || !bytes.subarray(0, prefix.length).equals(prefix)) continue;
      const spki = Buffer.concat([der, bytes.subarray(prefix.length)]);
      return { curve, key: createPublicKey({ key: spki, format: 'der', type: 'spki' }) };
    }
  } catch {
    // Neither multibase nor a point of the curve.
  }
  return undefined;
}

/** High S is refused, as a second valid spelling. */
function isPlainSignature(curve: Curve, signature: Uint8Array): boolean {
  return signature.length === signatureBytes && curves[curve].halfOrder.compare(signature, signatureBytes / 2) >= 0;
}

/** True for a signature of `message` by the key. */
export function isSignedBy({ curve, key }: SigningKey, message: Uint8Array, signature: Uint8Array): boolean {
  return isPlainSignature(curve, signature) && verify('sha256', message, { key, dsaEncoding }, signature);
}

/** Like `isSignedBy`, but does not hold this thread. */
export function isSignedSoon({ curve, key }: SigningKey, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (!isPlainSignature(curve, signature)) return Promise.resolve(false);
  return new Promise((resolve) => {
    verify('sha256', message, { key, dsaEncoding }, signature, (error, isSigned) =>
      resolve(error === null && isSigned),
    );
  });
}
