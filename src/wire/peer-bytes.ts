/** Turns malformed bytes of a peer into an error of the call, since our storage is not at fault. */
import { ByteReader, MalformedBytes, tryDecode, UnknownVersion } from '../base/bytes.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';

const errorOfCode =
  (code: ErrorCode) =>
  ({ message }: MalformedBytes): DataPlaneError =>
    new DataPlaneError(code, message);
const internalError = errorOfCode('Internal');

/**
 * Opens bytes of a peer, which errors call `what`.
 *
 * Errors: reading throws DataPlaneError `code`: `InvalidArgument` for bytes from outside the
 * cluster.
 */
export function peerReader(source: Uint8Array, what: string, code: ErrorCode = 'Internal'): ByteReader {
  return new ByteReader(source, 0, what, code === 'Internal' ? internalError : errorOfCode(code));
}

/**
 * Decodes bytes of a peer in a stored format.
 *
 * Errors: `malformed` if they are malformed: `InvalidArgument` for a request, `Internal` for an
 * answer; `Unavailable` if they are of another version, which ends when peer and we run the same.
 */
export function decodeOfPeer<Value>(
  what: string,
  decode: () => Value,
  malformed: 'InvalidArgument' | 'Internal' = 'InvalidArgument',
): Value {
  const decoded = tryDecode(decode);
  if (!(decoded instanceof MalformedBytes)) return decoded;
  const code = decoded instanceof UnknownVersion ? 'Unavailable' : malformed;
  throw new DataPlaneError(code, `${what}: malformed payload`, { cause: decoded });
}
