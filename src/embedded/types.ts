/** A throw-away server that this process started for itself, on 127.0.0.1 and a free port. */
export interface EmbeddedServer {
  /** Where clients connect, with the credentials the server wants. */
  readonly url: string
  /** Ends the server and removes what it kept on disk. Bounded, and safe to call twice: later calls get the same promise. */
  stop(): Promise<void>
}
