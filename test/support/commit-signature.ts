/** Signs hand-made commits at once, with the key of every DID document of a `ScriptedNetwork`. */
import { createECDH, createPrivateKey, sign } from 'node:crypto';

const signer = (() => {
  const pair = createECDH('secp256k1');
  pair.setPrivateKey(Buffer.alloc(32, 0x11));
  const point = pair.getPublicKey();
  const [d, x, y] = [pair.getPrivateKey(), point.subarray(1, 33), point.subarray(33)].map((part) =>
    part.toString('base64url'),
  );
  return createPrivateKey({ key: { kty: 'EC', crv: 'secp256k1', d: d!, x: x!, y: y! }, format: 'jwk' });
})();
const curveOrder = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;

/** Signs with a low S, as the protocol wants. */
export function signatureOf(message: Uint8Array): Buffer {
  const signature = sign('sha256', message, { key: signer, dsaEncoding: 'ieee-p1363' });
  const s = BigInt(`0x${signature.toString('hex', 32)}`);
  if (s > curveOrder / 2n) signature.write((curveOrder - s).toString(16).padStart(64, '0'), 32, 'hex');
  return signature;
}
