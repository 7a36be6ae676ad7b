// Wrong input: one sentence with the file, the fault and the fix.
export class InputError extends Error {}
