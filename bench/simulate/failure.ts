/** A mistake of the caller's: a flag, a file. Ends the command with exit code 2 and no stack. */
export class Mistake extends Error {}
