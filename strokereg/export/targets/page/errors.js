// What the reader of the page gave was wrong: one sentence with the file, the fault and the mend.
export class InputError extends Error {}
