;; SipHash-1-3 with 128 bits (one round a word, three at the end), and sums of its hashes (fingerprint.ts).
;;
;; A hash that is under way, and the sum of those that belong to it, is a record of 64 bytes:
;;
;;      0  state: 4 words of 64 bits
;;     32  bytes that were taken
;;     40  sum: each half of the hashes for itself, modulo 2^64
;;     56  how many hashes were added to it
;;
;; Memory:      0  records
;;            512  the secret: 2 words
;;           1024  messages: what is to be hashed, in whole words
(module
  (memory (export "memory") 2)

  (func $begin (export "begin") (param $record i32)
    (local $k0 i64) (local $k1 i64)
    (local.set $k0 (i64.load offset=512 (i32.const 0)))
    (local.set $k1 (i64.load offset=520 (i32.const 0)))
    (i64.store (local.get $record) (i64.xor (local.get $k0) (i64.const 0x736f6d6570736575)))
    (i64.store offset=8 (local.get $record) (i64.xor (local.get $k1) (i64.const 0x646f72616e646f83)))
    (i64.store offset=16 (local.get $record) (i64.xor (local.get $k0) (i64.const 0x6c7967656e657261)))
    (i64.store offset=24 (local.get $record) (i64.xor (local.get $k1) (i64.const 0x7465646279746573)))
    (i64.store offset=32 (local.get $record) (i64.const 0)))

  ;; Takes the words from $from to $to.
  (func $absorb (export "absorb") (param $record i32) (param $from i32) (param $to i32)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $word i64)
    (i64.store offset=32 (local.get $record) (i64.add
      (i64.load offset=32 (local.get $record))
      (i64.extend_i32_u (i32.sub (local.get $to) (local.get $from)))))
    (local.set $a (i64.load (local.get $record)))
    (local.set $b (i64.load offset=8 (local.get $record)))
    (local.set $c (i64.load offset=16 (local.get $record)))
    (local.set $d (i64.load offset=24 (local.get $record)))
    (block $done
      (loop $words
        (br_if $done (i32.ge_u (local.get $from) (local.get $to)))
        (local.set $word (i64.load (local.get $from)))
        (local.set $d (i64.xor (local.get $d) (local.get $word)))
        (local.set $a (i64.add (local.get $a) (local.get $b)))
        (local.set $c (i64.add (local.get $c) (local.get $d)))
        (local.set $b (i64.xor (i64.rotl (local.get $b) (i64.const 13)) (local.get $a)))
        (local.set $d (i64.xor (i64.rotl (local.get $d) (i64.const 16)) (local.get $c)))
        (local.set $a (i64.add (i64.rotl (local.get $a) (i64.const 32)) (local.get $d)))
        (local.set $c (i64.add (local.get $c) (local.get $b)))
        (local.set $d (i64.xor (i64.rotl (local.get $d) (i64.const 21)) (local.get $a)))
        (local.set $b (i64.xor (i64.rotl (local.get $b) (i64.const 17)) (local.get $c)))
        (local.set $c (i64.rotl (local.get $c) (i64.const 32)))
        (local.set $a (i64.xor (local.get $a) (local.get $word)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (br $words)))
    (i64.store (local.get $record) (local.get $a))
    (i64.store offset=8 (local.get $record) (local.get $b))
    (i64.store offset=16 (local.get $record) (local.get $c))
    (i64.store offset=24 (local.get $record) (local.get $d)))

  ;; Takes the sum that belongs to the hash, if anything was added to it, and clears it; adds the hash to another sum.
  (func $finish (export "finish") (param $record i32) (param $sum i32)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $word i64) (local $low i64) (local $i i32)
    (if (i64.ne (i64.load offset=56 (local.get $record)) (i64.const 0))
      (then
        (call $absorb (local.get $record)
          (i32.add (local.get $record) (i32.const 40)) (i32.add (local.get $record) (i32.const 64)))
        (call $clear (local.get $record))))
    (local.set $word (i64.shl (i64.load offset=32 (local.get $record)) (i64.const 56)))
    (local.set $a (i64.load (local.get $record)))
    (local.set $b (i64.load offset=8 (local.get $record)))
    (local.set $c (i64.load offset=16 (local.get $record)))
    (local.set $d (i64.xor (i64.load offset=24 (local.get $record)) (local.get $word)))
    ;; One round with the last word, three for the low half of the hash, three for the high one.
    (loop $rounds
      (local.set $a (i64.add (local.get $a) (local.get $b)))
      (local.set $c (i64.add (local.get $c) (local.get $d)))
      (local.set $b (i64.xor (i64.rotl (local.get $b) (i64.const 13)) (local.get $a)))
      (local.set $d (i64.xor (i64.rotl (local.get $d) (i64.const 16)) (local.get $c)))
      (local.set $a (i64.add (i64.rotl (local.get $a) (i64.const 32)) (local.get $d)))
      (local.set $c (i64.add (local.get $c) (local.get $b)))
      (local.set $d (i64.xor (i64.rotl (local.get $d) (i64.const 21)) (local.get $a)))
      (local.set $b (i64.xor (i64.rotl (local.get $b) (i64.const 17)) (local.get $c)))
      (local.set $c (i64.rotl (local.get $c) (i64.const 32)))
      (if (i32.eqz (local.get $i))
        (then
          (local.set $a (i64.xor (local.get $a) (local.get $word)))
          (local.set $c (i64.xor (local.get $c) (i64.const 0xee)))))
      (if (i32.eq (local.get $i) (i32.const 3))
        (then
          (local.set $low (call $fold (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
          (local.set $b (i64.xor (local.get $b) (i64.const 0xdd)))))
      (br_if $rounds (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 7))))
    (i64.store offset=40 (local.get $sum) (i64.add (i64.load offset=40 (local.get $sum)) (local.get $low)))
    (i64.store offset=48 (local.get $sum) (i64.add (i64.load offset=48 (local.get $sum))
      (call $fold (local.get $a) (local.get $b) (local.get $c) (local.get $d))))
    (i64.store offset=56 (local.get $sum) (i64.add (i64.load offset=56 (local.get $sum)) (i64.const 1))))

  (func $fold (param $a i64) (param $b i64) (param $c i64) (param $d i64) (result i64)
    (i64.xor (i64.xor (local.get $a) (local.get $b)) (i64.xor (local.get $c) (local.get $d))))

  ;; All three for a message that is whole.
  (func (export "once") (param $record i32) (param $from i32) (param $to i32) (param $sum i32)
    (call $begin (local.get $record))
    (call $absorb (local.get $record) (local.get $from) (local.get $to))
    (call $finish (local.get $record) (local.get $sum)))

  ;; Makes the sum of a record that of nothing.
  (func $clear (export "clear") (param $record i32)
    (i64.store offset=40 (local.get $record) (i64.const 0))
    (i64.store offset=48 (local.get $record) (i64.const 0))
    (i64.store offset=56 (local.get $record) (i64.const 0))))
