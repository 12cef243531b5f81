/**
 * Bodies of requests while they arrive, bounded one by one and all together.
 *
 * A body counts against the shared room from its first chunk until it is whole; from then on admission counts what it asks.
 */

/** Room for all bodies that are arriving. Units: bytes. */
export class BodyRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes room; false, with nothing taken, when there is not enough. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  /** Gives room back. */
  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** A bound that a body can pass. */
export type BodyBound = 'bodyBytesMax' | 'arrivingBytesMax';

/** One body that is arriving. */
export class RequestBody {
  readonly #bytesMax: number;
  readonly #room: BodyRoom;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isDropped = false;

  /** `bytesMax` bounds this body, `room` all of them. */
  constructor(bytesMax: number, room: BodyRoom) {
    this.#bytesMax = bytesMax;
    this.#room = room;
  }

  /** True once the body was refused or its sender has gone: what still comes is ignored. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  /** Adds a chunk, which belongs to the body from now on. Returns the name of the bound that it passes, or null. */
  add(chunk: Buffer): BodyBound | null {
    const isTooLarge = this.#bytes + chunk.length > this.#bytesMax;
    if (isTooLarge || !this.#room.take(chunk.length)) {
      this.drop();
      return isTooLarge ? 'bodyBytesMax' : 'arrivingBytesMax';
    }
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    return null;
  }

  /** Returns the whole body and gives its room back. */
  take(): Buffer {
    const chunks = this.#chunks;
    this.drop();
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  /** Forgets what has come. */
  drop(): void {
    this.#isDropped = true;
    this.#room.release(this.#bytes);
    this.#bytes = 0;
    this.#chunks = [];
  }
}
