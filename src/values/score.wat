;; Digits of a double by Grisu2: F. Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers" (2010),
;; with the choices that fpconv makes (score.ts), since digits differ with them now and then.
;;
;; Memory:      0  87 powers of ten, 10^-348 to 10^340 in steps of 8: their upper 64 bits, rounded
;;           1024  the digits, as ASCII
;;           1056  the power of ten of the last digit
(module
  (memory (export "memory") 1)

  ;; The upper half of the product of two words, rounded.
  (func $multiply (param $a i64) (param $b i64) (result i64)
    (local $high_low i64) (local $low_high i64)
    (local.set $high_low (i64.mul
      (i64.shr_u (local.get $a) (i64.const 32))
      (i64.and (local.get $b) (i64.const 0xffffffff))))
    (local.set $low_high (i64.mul
      (i64.and (local.get $a) (i64.const 0xffffffff))
      (i64.shr_u (local.get $b) (i64.const 32))))
    (i64.add
      (i64.add
        (i64.mul
          (i64.shr_u (local.get $a) (i64.const 32))
          (i64.shr_u (local.get $b) (i64.const 32)))
        (i64.add
          (i64.shr_u (local.get $high_low) (i64.const 32))
          (i64.shr_u (local.get $low_high) (i64.const 32))))
      (i64.shr_u
        (i64.add
          (i64.add
            (i64.add
              (i64.and (local.get $high_low) (i64.const 0xffffffff))
              (i64.and (local.get $low_high) (i64.const 0xffffffff)))
            (i64.shr_u
              (i64.mul
                (i64.and (local.get $a) (i64.const 0xffffffff))
                (i64.and (local.get $b) (i64.const 0xffffffff)))
              (i64.const 32)))
          (i64.const 0x80000000))
        (i64.const 32))))

  ;; How many digits `score` has, which must be finite and greater than zero.
  (func (export "digits") (param $score f64) (result i32)
    (local $fraction i64) (local $exponent i32) (local $shift i32) (local $index i32) (local $scale i32)
    (local $power i64) (local $middle i64) (local $upper i64) (local $lower i64)
    (local $delta i64) (local $one i64) (local $mask i64) (local $whole i64) (local $rest i64)
    (local $unit i64) (local $kappa i32) (local $digit i32) (local $count i32) (local $distance i64)

    (local.set $fraction (i64.reinterpret_f64 (local.get $score)))
    (local.set $exponent (i32.wrap_i64 (i64.shr_u (local.get $fraction) (i64.const 52))))
    (local.set $fraction (i64.and (local.get $fraction) (i64.const 0xfffffffffffff)))
    (if (local.get $exponent)
      (then (local.set $fraction (i64.or (local.get $fraction) (i64.const 0x10000000000000))))
      (else (local.set $exponent (i32.const 1))))
    (local.set $shift (i32.wrap_i64 (i64.clz (local.get $fraction))))
    (local.set $exponent (i32.sub (i32.sub (local.get $exponent) (i32.const 1075)) (local.get $shift)))

    ;; The boundaries: half way to the neighbours. That below a power of two is only half as far.
    (local.set $middle (i64.shl (local.get $fraction) (i64.extend_i32_u (local.get $shift))))
    (local.set $upper (i64.shl
      (i64.add (i64.shl (local.get $fraction) (i64.const 1)) (i64.const 1))
      (i64.extend_i32_u (i32.sub (local.get $shift) (i32.const 1)))))
    (if (i64.eq (local.get $fraction) (i64.const 0x10000000000000))
      (then (local.set $lower (i64.shl
        (i64.sub (i64.shl (local.get $fraction) (i64.const 2)) (i64.const 1))
        (i64.extend_i32_u (i32.sub (local.get $shift) (i32.const 2))))))
      (else (local.set $lower (i64.shl
        (i64.sub (i64.shl (local.get $fraction) (i64.const 1)) (i64.const 1))
        (i64.extend_i32_u (i32.sub (local.get $shift) (i32.const 1)))))))

    ;; A power of ten that brings the exponent to between -60 and -32. Often two do: which one is found first counts.
    (local.set $index (i32.div_s
      (i32.add
        (i32.trunc_f64_s (f64.mul
          (f64.convert_i32_s (i32.sub (i32.const -87) (local.get $exponent)))
          (f64.const 0.30102999566398114)))
        (i32.const 348))
      (i32.const 8)))
    (block $found (loop $search
      ;; The exponent of 10^k in 64 bits is the whole part of k log 10 / log 2, less 63.
      (local.set $scale (i32.add (local.get $exponent) (i32.add (i32.const 1) (i32.shr_s
        (i32.mul
          (i32.sub (i32.shl (local.get $index) (i32.const 3)) (i32.const 348))
          (i32.const 1741647))
        (i32.const 19)))))
      (if (i32.lt_s (local.get $scale) (i32.const -60)) (then
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $search)))
      (if (i32.gt_s (local.get $scale) (i32.const -32)) (then
        (local.set $index (i32.sub (local.get $index) (i32.const 1)))
        (br $search)))))
    (local.set $power (i64.load (i32.shl (local.get $index) (i32.const 3))))

    ;; Narrower by what the products may be wrong by.
    (local.set $upper (i64.sub (call $multiply (local.get $upper) (local.get $power)) (i64.const 1)))
    (local.set $lower (i64.add (call $multiply (local.get $lower) (local.get $power)) (i64.const 1)))
    (local.set $distance
      (i64.sub (local.get $upper) (call $multiply (local.get $middle) (local.get $power))))
    (local.set $delta (i64.sub (local.get $upper) (local.get $lower)))

    ;; Digits of the upper boundary, until what is left out is less than the boundaries are apart.
    (local.set $shift (i32.sub (i32.const 0) (local.get $scale)))
    (local.set $one (i64.shl (i64.const 1) (i64.extend_i32_u (local.get $shift))))
    (local.set $mask (i64.sub (local.get $one) (i64.const 1)))
    (local.set $whole (i64.shr_u (local.get $upper) (i64.extend_i32_u (local.get $shift))))
    (local.set $rest (i64.and (local.get $upper) (local.get $mask)))
    (local.set $kappa (i32.const 10))
    (local.set $unit (i64.const 1000000000))
    (block $done
      (loop $of_whole
        (local.set $digit (i32.wrap_i64 (i64.div_u (local.get $whole) (local.get $unit))))
        (local.set $whole (i64.rem_u (local.get $whole) (local.get $unit)))
        (local.set $count (call $put (local.get $digit) (local.get $count)))
        (local.set $kappa (i32.sub (local.get $kappa) (i32.const 1)))
        (if (i64.le_u
              (i64.add
                (i64.shl (local.get $whole) (i64.extend_i32_u (local.get $shift)))
                (local.get $rest))
              (local.get $delta)) (then
          (local.set $rest (i64.add
            (i64.shl (local.get $whole) (i64.extend_i32_u (local.get $shift)))
            (local.get $rest)))
          (local.set $one (i64.shl (local.get $unit) (i64.extend_i32_u (local.get $shift))))
          (br $done)))
        (local.set $unit (i64.div_u (local.get $unit) (i64.const 10)))
        (br_if $of_whole (local.get $kappa)))
      (loop $of_rest
        (local.set $rest (i64.mul (local.get $rest) (i64.const 10)))
        (local.set $delta (i64.mul (local.get $delta) (i64.const 10)))
        (local.set $distance (i64.mul (local.get $distance) (i64.const 10)))
        (local.set $kappa (i32.sub (local.get $kappa) (i32.const 1)))
        (local.set $count (call $put
          (i32.wrap_i64 (i64.shr_u (local.get $rest) (i64.extend_i32_u (local.get $shift))))
          (local.get $count)))
        (local.set $rest (i64.and (local.get $rest) (local.get $mask)))
        (br_if $of_rest (i64.ge_u (local.get $rest) (local.get $delta)))))

    ;; Nearer to the number itself by making the last digit less. ($one is now what one of it is.)
    (block $near (loop $less
      (br_if $near (i64.ge_u (local.get $rest) (local.get $distance)))
      (br_if $near (i64.lt_u (i64.sub (local.get $delta) (local.get $rest)) (local.get $one)))
      (if (i64.ge_u (i64.add (local.get $rest) (local.get $one)) (local.get $distance)) (then
        (br_if $near (i64.le_u
          (i64.sub (local.get $distance) (local.get $rest))
          (i64.sub (i64.add (local.get $rest) (local.get $one)) (local.get $distance))))))
      (i32.store8 offset=1023 (local.get $count)
        (i32.sub (i32.load8_u offset=1023 (local.get $count)) (i32.const 1)))
      (local.set $rest (i64.add (local.get $rest) (local.get $one)))
      (br $less)))
    (i32.store (i32.const 1056) (i32.sub
      (i32.add (local.get $kappa) (i32.const 348))
      (i32.shl (local.get $index) (i32.const 3))))
    (local.get $count))

  ;; Writes a digit behind `count` digits, unless it is a zero in front; how many there are then.
  (func $put (param $digit i32) (param $count i32) (result i32)
    (i32.store8 offset=1024 (local.get $count) (i32.add (local.get $digit) (i32.const 48)))
    (i32.add
      (local.get $count)
      (i32.or (i32.ne (local.get $digit) (i32.const 0)) (i32.ne (local.get $count) (i32.const 0))))))
