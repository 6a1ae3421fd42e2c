;; CRC64 as Redis and Valkey compute it (Jones' polynomial, reflected, zero before and after), in two steps.
;;
;; 1. A CRC does not change when a multiple of its polynomial is added to the message. Jones' polynomial divides
;;
;;        f = x^3123 + x^2476 + x^2096 + x^1939 + x^1868 + x^952 + x^537 + 1
;;
;;    (found by a birthday search; the test divides it again), hence also f^8, whose exponents are eight times as
;;    large: the same numbers in bytes. So a byte can be cleared by adding it to seven bytes behind it, at the
;;    distances 647, 1027, 1184, 1255, 2171, 2586 and 3123. Done for every byte from the front, 16 at once, this
;;    leaves the CRC of the block to its last 3,123 bytes, at 8 loads for 16 bytes and without a table.
;;    The technique: S. Russell, "Chorba: A novel CRC32 implementation" (2024).
;; 2. What is left goes through the usual eight tables, eight bytes at a time.
;;
;; Memory:      0  eight tables of 256 words: table k moves a byte over k + 1 bytes
;;          16384  the end of a block, while step 1 turns into step 2
;;          29440  zeros: what stands before the first byte (3,123 bytes and more)
;;          32768  the block, up to 131,072 bytes; behind it room for 3,152 zeros
(module
  (memory (export "memory") 3)

  (func $tables (local $i i32) (local $c i64) (local $k i32)
    (loop $byte
      (local.set $c (i64.extend_i32_u (local.get $i)))
      (local.set $k (i32.const 8))
      (loop $bit
        (local.set $c (i64.xor
          (i64.shr_u (local.get $c) (i64.const 1))
          (i64.and (i64.const 0x95ac9329ac4bc9b5)
                   (i64.sub (i64.const 0) (i64.and (local.get $c) (i64.const 1))))))
        (br_if $bit (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (i64.store (i32.shl (local.get $i) (i32.const 3)) (local.get $c))
      (br_if $byte (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1)))
        (i32.const 256))))
    (loop $further
      (local.set $c (i64.load (i32.sub (i32.shl (local.get $i) (i32.const 3)) (i32.const 2048))))
      (i64.store (i32.shl (local.get $i) (i32.const 3)) (i64.xor
        (i64.shr_u (local.get $c) (i64.const 8))
        (i64.load (i32.shl (i32.and (i32.wrap_i64 (local.get $c)) (i32.const 255)) (i32.const 3)))))
      (br_if $further (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1)))
        (i32.const 2048)))))
  (start $tables)

  ;; The CRC `c` continued over the `length` bytes at `p`, by the tables.
  (func $by_tables (param $c i64) (param $p i32) (param $length i32) (result i64)
    (local $end i32) (local $x i64)
    (local.set $end (i32.add (local.get $p) (local.get $length)))
    (block $words_done (loop $word
      (br_if $words_done (i32.lt_u (i32.sub (local.get $end) (local.get $p)) (i32.const 8)))
      (local.set $x (i64.xor (local.get $c) (i64.load (local.get $p))))
      ;; Each index is a byte of $x times eight: shifted by three less than its place.
      (local.set $c (i64.xor
        (i64.xor
          (i64.xor
            (i64.load offset=14336 (i32.and (i32.shl (i32.wrap_i64 (local.get $x)) (i32.const 3)) (i32.const 2040)))
            (i64.load offset=12288 (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 5))) (i32.const 2040))))
          (i64.xor
            (i64.load offset=10240 (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 13))) (i32.const 2040)))
            (i64.load offset=8192 (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 21))) (i32.const 2040)))))
        (i64.xor
          (i64.xor
            (i64.load offset=6144 (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 29))) (i32.const 2040)))
            (i64.load offset=4096 (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 37))) (i32.const 2040))))
          (i64.xor
            (i64.load offset=2048 (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 45))) (i32.const 2040)))
            (i64.load (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 53))) (i32.const 2040)))))))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (br $word)))
    (block $done (loop $byte
      (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
      (local.set $c (i64.xor
        (i64.shr_u (local.get $c) (i64.const 8))
        (i64.load (i32.shl
          (i32.and (i32.xor (i32.wrap_i64 (local.get $c)) (i32.load8_u (local.get $p))) (i32.const 255))
          (i32.const 3)))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br $byte)))
    (local.get $c))

  ;; The CRC `c` continued over the first `length` bytes of the block, which are used up.
  (func (export "update") (param $c i64) (param $length i32) (result i64)
    (local $p i32) (local $cleared i32) (local $left i32) (local $q i32)
    (if (i32.lt_u (local.get $length) (i32.const 8192))
      (then (return (call $by_tables (local.get $c) (i32.const 32768) (local.get $length)))))
    (i64.store (i32.const 32768) (i64.xor (i64.load (i32.const 32768)) (local.get $c)))
    (local.set $cleared (i32.and (i32.sub (local.get $length) (i32.const 3123)) (i32.const -16)))
    (local.set $left (i32.sub (local.get $length) (local.get $cleared)))
    ;; What each place holds once all bytes before it are cleared; `cleared` is where clearing stops.
    (loop $clear
      (v128.store offset=32768 align=1 (local.get $p) (v128.xor
        (v128.xor
          (v128.xor (v128.load offset=32768 align=1 (local.get $p)) (v128.load offset=32121 align=1 (local.get $p)))
          (v128.xor (v128.load offset=31741 align=1 (local.get $p)) (v128.load offset=31584 align=1 (local.get $p))))
        (v128.xor
          (v128.xor (v128.load offset=31513 align=1 (local.get $p)) (v128.load offset=30597 align=1 (local.get $p)))
          (v128.xor (v128.load offset=30182 align=1 (local.get $p)) (v128.load offset=29645 align=1 (local.get $p))))))
      (br_if $clear (i32.lt_u
        (local.tee $p (i32.add (local.get $p) (i32.const 16)))
        (local.get $cleared))))
    ;; The bytes behind that take what the cleared ones gave them, but give nothing: zeros stand in for them.
    (memory.copy (i32.const 16384) (i32.add (local.get $cleared) (i32.const 32768)) (local.get $left))
    (memory.fill (i32.add (local.get $cleared) (i32.const 32768)) (i32.const 0) (i32.const 3152))
    (loop $gather
      (v128.store offset=16384 (local.get $q) (v128.xor
        (v128.xor
          (v128.xor (v128.load offset=16384 (local.get $q)) (v128.load offset=32121 align=1 (local.get $p)))
          (v128.xor (v128.load offset=31741 align=1 (local.get $p)) (v128.load offset=31584 align=1 (local.get $p))))
        (v128.xor
          (v128.xor (v128.load offset=31513 align=1 (local.get $p)) (v128.load offset=30597 align=1 (local.get $p)))
          (v128.xor (v128.load offset=30182 align=1 (local.get $p)) (v128.load offset=29645 align=1 (local.get $p))))))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (br_if $gather (i32.lt_u
        (local.tee $q (i32.add (local.get $q) (i32.const 16)))
        (i32.const 3123))))
    (call $by_tables (i64.const 0) (i32.const 16384) (local.get $left))))
