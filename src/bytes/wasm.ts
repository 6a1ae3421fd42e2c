/** What is used of it here; Node's own types leave it out. */
declare const WebAssembly: {
  readonly Module: new (binary: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

/** What a module exports, and all of its memory as bytes: it must not grow. */
export type Exports<Functions> = Functions & { readonly bytes: Uint8Array<ArrayBuffer> }

/**
 * A module that imports nothing and exports `memory`, from its binary in base64 (`scripts/make-wasm.js`). To be called
 * when it is first used: it takes some 0.3 ms.
 */
export function instantiate<Functions>(binary: string): Exports<Functions> {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(binary, 'base64')))
  const { memory } = exports as { memory: { buffer: ArrayBuffer } }
  return { ...(exports as Functions), bytes: new Uint8Array(memory.buffer) }
}
