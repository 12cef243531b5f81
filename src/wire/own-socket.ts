/** A Unix socket that only this user can have made, however its path came here. */
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/**
 * Begins to connect to the socket at a path. `timeoutMs` is that of the socket's silence.
 *
 * Returns: null unless it is a socket of this user, in a folder that this user alone may enter.
 */
export function connectToOwnSocket(path: string, timeoutMs: number): Socket | null {
  let folder: number | null = null;
  try {
    folder = openSync(dirname(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const { uid, mode } = fstatSync(folder);
    // By the descriptor: whoever owns a folder further up could change what the path names.
    const checkedPath = `/proc/self/fd/${folder}/${basename(path)}`;
    const socket = lstatSync(checkedPath);
    const user = process.geteuid?.();
    const isOwn = uid === user && (mode & 0o777) === 0o700 && socket.uid === user && socket.isSocket();
    // The address is looked up before this returns.
    return isOwn ? connect({ path: checkedPath, timeout: timeoutMs }) : null;
  } catch {
    return null;
  } finally {
    if (folder !== null) closeSync(folder);
  }
}
