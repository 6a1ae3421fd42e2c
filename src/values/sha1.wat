;; SHA-1 (FIPS 180-4), and what DEBUG DIGEST makes of hashes (sha1.ts).
;;
;; Memory:      0  message schedule: 80 words
;;            320  state: 5 words
;;            384  hash: 20 bytes, high byte of each word first
;;            448  a digest as a message: 20 bytes and their padding
;;            512  16 registers: digests, 32 bytes apart
;;           1024  message; its padding is written behind it
(module
  (memory (export "memory") 1)

  (func $begin
    (i32.store offset=320 (i32.const 0) (i32.const 0x67452301))
    (i32.store offset=324 (i32.const 0) (i32.const 0xefcdab89))
    (i32.store offset=328 (i32.const 0) (i32.const 0x98badcfe))
    (i32.store offset=332 (i32.const 0) (i32.const 0x10325476))
    (i32.store offset=336 (i32.const 0) (i32.const 0xc3d2e1f0)))

  ;; Continues over 64 bytes.
  (func $block (param $p i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $e i32) (local $t i32) (local $x i32)
    (local $u v128) (local $v v128) (local $z v128)
    (v128.store (i32.const 0) (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12
      (v128.load align=1 (local.get $p)) (local.get $v)))
    (v128.store offset=16 (i32.const 0) (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12
      (v128.load offset=16 align=1 (local.get $p)) (local.get $v)))
    (v128.store offset=32 (i32.const 0) (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12
      (v128.load offset=32 align=1 (local.get $p)) (local.get $v)))
    (v128.store offset=48 (i32.const 0) (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12
      (v128.load offset=48 align=1 (local.get $p)) (local.get $v)))
    ;; Word t is the sum of those 3, 8, 14 and 16 before it, rotated by one. Of four at once the last depends on the
    ;; first, which is added afterwards. Vectors that lie across two that were just stored are put together of these:
    ;; to load them would be to wait for the stores.
    (local.set $v (v128.load offset=48 (i32.const 0)))
    (loop $words
      (local.set $v (v128.xor
        (v128.xor
          (v128.load (local.get $t))
          (i8x16.shuffle 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
            (v128.load (local.get $t)) (v128.load offset=16 (local.get $t))))
        (v128.xor
          (v128.load offset=32 (local.get $t))
          (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            (local.get $v) (v128.const i32x4 0 0 0 0)))))
      (local.set $v
        (v128.or (i32x4.shl (local.get $v) (i32.const 1)) (i32x4.shr_u (local.get $v) (i32.const 31))))
      (local.set $x (i32.rotl (i32x4.extract_lane 0 (local.get $v)) (i32.const 1)))
      (local.set $v (i32x4.replace_lane 3 (local.get $v)
        (i32.xor (i32x4.extract_lane 3 (local.get $v)) (local.get $x))))
      (v128.store offset=64 (local.get $t) (local.get $v))
      (br_if $words (i32.lt_u
        (local.tee $t (i32.add (local.get $t) (i32.const 16)))
        (i32.const 64))))
    ;; From the 32nd on it is also the sum of those 6, 16, 28 and 32 before it, rotated by two.
    (local.set $u (v128.load offset=96 (i32.const 0)))
    (local.set $t (i32.const 0))
    (loop $further
      (local.set $u (v128.xor
        (v128.xor
          (i8x16.shuffle 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 (local.get $u) (local.get $v))
          (v128.load offset=64 (local.get $t)))
        (v128.xor (v128.load offset=16 (local.get $t)) (v128.load (local.get $t)))))
      (local.set $u
        (v128.or (i32x4.shl (local.get $u) (i32.const 2)) (i32x4.shr_u (local.get $u) (i32.const 30))))
      (v128.store offset=128 (local.get $t) (local.get $u))
      (local.set $z (local.get $v))
      (local.set $v (local.get $u))
      (local.set $u (local.get $z))
      (br_if $further (i32.lt_u
        (local.tee $t (i32.add (local.get $t) (i32.const 16)))
        (i32.const 192))))
    (local.set $a (i32.load offset=320 (i32.const 0)))
    (local.set $b (i32.load offset=324 (i32.const 0)))
    (local.set $c (i32.load offset=328 (i32.const 0)))
    (local.set $d (i32.load offset=332 (i32.const 0)))
    (local.set $e (i32.load offset=336 (i32.const 0)))
    (local.set $t (i32.const 0))
    (loop $rounds0 ;; 0 to 19
      (local.set $e (i32.add
        (i32.add (i32.rotl (local.get $a) (i32.const 5)) (local.get $e))
        (i32.add (i32.add (i32.load (local.get $t)) (i32.const 0x5a827999))
          (i32.xor (local.get $d) (i32.and (local.get $b) (i32.xor (local.get $c) (local.get $d)))))))
      (local.set $b (i32.rotl (local.get $b) (i32.const 30)))
      (local.set $d (i32.add
        (i32.add (i32.rotl (local.get $e) (i32.const 5)) (local.get $d))
        (i32.add (i32.add (i32.load offset=4 (local.get $t)) (i32.const 0x5a827999))
          (i32.xor (local.get $c) (i32.and (local.get $a) (i32.xor (local.get $b) (local.get $c)))))))
      (local.set $a (i32.rotl (local.get $a) (i32.const 30)))
      (local.set $c (i32.add
        (i32.add (i32.rotl (local.get $d) (i32.const 5)) (local.get $c))
        (i32.add (i32.add (i32.load offset=8 (local.get $t)) (i32.const 0x5a827999))
          (i32.xor (local.get $b) (i32.and (local.get $e) (i32.xor (local.get $a) (local.get $b)))))))
      (local.set $e (i32.rotl (local.get $e) (i32.const 30)))
      (local.set $b (i32.add
        (i32.add (i32.rotl (local.get $c) (i32.const 5)) (local.get $b))
        (i32.add (i32.add (i32.load offset=12 (local.get $t)) (i32.const 0x5a827999))
          (i32.xor (local.get $a) (i32.and (local.get $d) (i32.xor (local.get $e) (local.get $a)))))))
      (local.set $d (i32.rotl (local.get $d) (i32.const 30)))
      (local.set $a (i32.add
        (i32.add (i32.rotl (local.get $b) (i32.const 5)) (local.get $a))
        (i32.add (i32.add (i32.load offset=16 (local.get $t)) (i32.const 0x5a827999))
          (i32.xor (local.get $e) (i32.and (local.get $c) (i32.xor (local.get $d) (local.get $e)))))))
      (local.set $c (i32.rotl (local.get $c) (i32.const 30)))
      (br_if $rounds0 (i32.lt_u
        (local.tee $t (i32.add (local.get $t) (i32.const 20)))
        (i32.const 80))))
    (local.set $t (i32.const 80))
    (loop $rounds1 ;; 20 to 39
      (local.set $e (i32.add
        (i32.add (i32.rotl (local.get $a) (i32.const 5)) (local.get $e))
        (i32.add (i32.add (i32.load (local.get $t)) (i32.const 0x6ed9eba1))
          (i32.xor (local.get $b) (i32.xor (local.get $c) (local.get $d))))))
      (local.set $b (i32.rotl (local.get $b) (i32.const 30)))
      (local.set $d (i32.add
        (i32.add (i32.rotl (local.get $e) (i32.const 5)) (local.get $d))
        (i32.add (i32.add (i32.load offset=4 (local.get $t)) (i32.const 0x6ed9eba1))
          (i32.xor (local.get $a) (i32.xor (local.get $b) (local.get $c))))))
      (local.set $a (i32.rotl (local.get $a) (i32.const 30)))
      (local.set $c (i32.add
        (i32.add (i32.rotl (local.get $d) (i32.const 5)) (local.get $c))
        (i32.add (i32.add (i32.load offset=8 (local.get $t)) (i32.const 0x6ed9eba1))
          (i32.xor (local.get $e) (i32.xor (local.get $a) (local.get $b))))))
      (local.set $e (i32.rotl (local.get $e) (i32.const 30)))
      (local.set $b (i32.add
        (i32.add (i32.rotl (local.get $c) (i32.const 5)) (local.get $b))
        (i32.add (i32.add (i32.load offset=12 (local.get $t)) (i32.const 0x6ed9eba1))
          (i32.xor (local.get $d) (i32.xor (local.get $e) (local.get $a))))))
      (local.set $d (i32.rotl (local.get $d) (i32.const 30)))
      (local.set $a (i32.add
        (i32.add (i32.rotl (local.get $b) (i32.const 5)) (local.get $a))
        (i32.add (i32.add (i32.load offset=16 (local.get $t)) (i32.const 0x6ed9eba1))
          (i32.xor (local.get $c) (i32.xor (local.get $d) (local.get $e))))))
      (local.set $c (i32.rotl (local.get $c) (i32.const 30)))
      (br_if $rounds1 (i32.lt_u
        (local.tee $t (i32.add (local.get $t) (i32.const 20)))
        (i32.const 160))))
    (local.set $t (i32.const 160))
    (loop $rounds2 ;; 40 to 59
      (local.set $e (i32.add
        (i32.add (i32.rotl (local.get $a) (i32.const 5)) (local.get $e))
        (i32.add (i32.add (i32.load (local.get $t)) (i32.const 0x8f1bbcdc))
          (i32.or (i32.and (local.get $b) (local.get $c)) (i32.and (local.get $d) (i32.or (local.get $b) (local.get $c)))))))
      (local.set $b (i32.rotl (local.get $b) (i32.const 30)))
      (local.set $d (i32.add
        (i32.add (i32.rotl (local.get $e) (i32.const 5)) (local.get $d))
        (i32.add (i32.add (i32.load offset=4 (local.get $t)) (i32.const 0x8f1bbcdc))
          (i32.or (i32.and (local.get $a) (local.get $b)) (i32.and (local.get $c) (i32.or (local.get $a) (local.get $b)))))))
      (local.set $a (i32.rotl (local.get $a) (i32.const 30)))
      (local.set $c (i32.add
        (i32.add (i32.rotl (local.get $d) (i32.const 5)) (local.get $c))
        (i32.add (i32.add (i32.load offset=8 (local.get $t)) (i32.const 0x8f1bbcdc))
          (i32.or (i32.and (local.get $e) (local.get $a)) (i32.and (local.get $b) (i32.or (local.get $e) (local.get $a)))))))
      (local.set $e (i32.rotl (local.get $e) (i32.const 30)))
      (local.set $b (i32.add
        (i32.add (i32.rotl (local.get $c) (i32.const 5)) (local.get $b))
        (i32.add (i32.add (i32.load offset=12 (local.get $t)) (i32.const 0x8f1bbcdc))
          (i32.or (i32.and (local.get $d) (local.get $e)) (i32.and (local.get $a) (i32.or (local.get $d) (local.get $e)))))))
      (local.set $d (i32.rotl (local.get $d) (i32.const 30)))
      (local.set $a (i32.add
        (i32.add (i32.rotl (local.get $b) (i32.const 5)) (local.get $a))
        (i32.add (i32.add (i32.load offset=16 (local.get $t)) (i32.const 0x8f1bbcdc))
          (i32.or (i32.and (local.get $c) (local.get $d)) (i32.and (local.get $e) (i32.or (local.get $c) (local.get $d)))))))
      (local.set $c (i32.rotl (local.get $c) (i32.const 30)))
      (br_if $rounds2 (i32.lt_u
        (local.tee $t (i32.add (local.get $t) (i32.const 20)))
        (i32.const 240))))
    (local.set $t (i32.const 240))
    (loop $rounds3 ;; 60 to 79
      (local.set $e (i32.add
        (i32.add (i32.rotl (local.get $a) (i32.const 5)) (local.get $e))
        (i32.add (i32.add (i32.load (local.get $t)) (i32.const 0xca62c1d6))
          (i32.xor (local.get $b) (i32.xor (local.get $c) (local.get $d))))))
      (local.set $b (i32.rotl (local.get $b) (i32.const 30)))
      (local.set $d (i32.add
        (i32.add (i32.rotl (local.get $e) (i32.const 5)) (local.get $d))
        (i32.add (i32.add (i32.load offset=4 (local.get $t)) (i32.const 0xca62c1d6))
          (i32.xor (local.get $a) (i32.xor (local.get $b) (local.get $c))))))
      (local.set $a (i32.rotl (local.get $a) (i32.const 30)))
      (local.set $c (i32.add
        (i32.add (i32.rotl (local.get $d) (i32.const 5)) (local.get $c))
        (i32.add (i32.add (i32.load offset=8 (local.get $t)) (i32.const 0xca62c1d6))
          (i32.xor (local.get $e) (i32.xor (local.get $a) (local.get $b))))))
      (local.set $e (i32.rotl (local.get $e) (i32.const 30)))
      (local.set $b (i32.add
        (i32.add (i32.rotl (local.get $c) (i32.const 5)) (local.get $b))
        (i32.add (i32.add (i32.load offset=12 (local.get $t)) (i32.const 0xca62c1d6))
          (i32.xor (local.get $d) (i32.xor (local.get $e) (local.get $a))))))
      (local.set $d (i32.rotl (local.get $d) (i32.const 30)))
      (local.set $a (i32.add
        (i32.add (i32.rotl (local.get $b) (i32.const 5)) (local.get $a))
        (i32.add (i32.add (i32.load offset=16 (local.get $t)) (i32.const 0xca62c1d6))
          (i32.xor (local.get $c) (i32.xor (local.get $d) (local.get $e))))))
      (local.set $c (i32.rotl (local.get $c) (i32.const 30)))
      (br_if $rounds3 (i32.lt_u
        (local.tee $t (i32.add (local.get $t) (i32.const 20)))
        (i32.const 320))))
    (i32.store offset=320 (i32.const 0) (i32.add (i32.load offset=320 (i32.const 0)) (local.get $a)))
    (i32.store offset=324 (i32.const 0) (i32.add (i32.load offset=324 (i32.const 0)) (local.get $b)))
    (i32.store offset=328 (i32.const 0) (i32.add (i32.load offset=328 (i32.const 0)) (local.get $c)))
    (i32.store offset=332 (i32.const 0) (i32.add (i32.load offset=332 (i32.const 0)) (local.get $d)))
    (i32.store offset=336 (i32.const 0) (i32.add (i32.load offset=336 (i32.const 0)) (local.get $e))))

  ;; Hashes the first `size` bytes of the message.
  (func $hash (param $size i32)
    (local $p i32) (local $end i32)
    (local.set $end (i32.add (local.get $size) (i32.const 1024)))
    (memory.fill (local.get $end) (i32.const 0) (i32.const 72))
    (i32.store8 (local.get $end) (i32.const 0x80))
    ;; Where the last block ends: the padding takes 9 bytes at least.
    (local.set $end (i32.and (i32.add (local.get $end) (i32.const 72)) (i32.const -64)))
    (i32.store (i32.sub (local.get $end) (i32.const 4)) (call $swap (i32.shl (local.get $size) (i32.const 3))))
    (call $begin)
    (local.set $p (i32.const 1024))
    (loop $next
      (call $block (local.get $p))
      (br_if $next (i32.lt_u
        (local.tee $p (i32.add (local.get $p) (i32.const 64)))
        (local.get $end))))
    (call $put (i32.const 384)))

  (func $swap (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $x) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $x) (i32.const 8)) (i32.const 0xff00ff00))))

  ;; Writes the state as bytes.
  (func $put (param $p i32)
    (v128.store (local.get $p)
      (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12
        (v128.load offset=320 (i32.const 0)) (v128.load offset=320 (i32.const 0))))
    (i32.store offset=16 (local.get $p) (call $swap (i32.load offset=336 (i32.const 0)))))

  ;; Adds the hash to the register at `r`.
  (func $add (export "add") (param $r i32)
    (v128.store (local.get $r)
      (v128.xor (v128.load (local.get $r)) (v128.load offset=384 (i32.const 0))))
    (i32.store offset=16 (local.get $r)
      (i32.xor (i32.load offset=16 (local.get $r)) (i32.load offset=400 (i32.const 0)))))

  ;; Hashes the register at `r`: in a block that has its padding already.
  (func $hash_register (param $r i32)
    (v128.store offset=448 (i32.const 0) (v128.load (local.get $r)))
    (i32.store offset=464 (i32.const 0) (i32.load offset=16 (local.get $r)))
    (call $begin)
    (call $block (i32.const 448)))
  (data (i32.const 468) "\80")
  (data (i32.const 511) "\a0")

  ;; Adds the hash to the register at `r`, and makes that its own hash.
  (func $mix (export "mix") (param $r i32)
    (call $add (local.get $r))
    (call $hash_register (local.get $r))
    (call $put (local.get $r)))

  ;; Adds the hash of the register at `from` to that at `r`; clears `from`.
  (func (export "add_register") (param $r i32) (param $from i32)
    (call $hash_register (local.get $from))
    (call $put (i32.const 384))
    (call $add (local.get $r))
    (memory.fill (local.get $from) (i32.const 0) (i32.const 20)))

  (func (export "add_message") (param $r i32) (param $size i32)
    (call $hash (local.get $size))
    (call $add (local.get $r)))

  (func (export "mix_message") (param $r i32) (param $size i32)
    (call $hash (local.get $size))
    (call $mix (local.get $r))))
