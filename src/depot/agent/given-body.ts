/** The body of a request as a client gives it: when it fails by itself, that says nothing of the depot. */
export class GivenBody {
  readonly #source: AsyncIterable<Uint8Array>;
  hasFailed = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#source;
    } catch (error) {
      this.hasFailed = true;
      throw error;
    }
  }
}
