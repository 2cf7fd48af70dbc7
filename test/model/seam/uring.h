/*
 * The ring of the model: see uring.c.
 */
#ifndef WEFT_MODEL_SEAM_URING_H
#define WEFT_MODEL_SEAM_URING_H

#include <stdint.h>

/* Puts everything back: there is no ring; the next will have room for so many requests. */
void uring_reset(uint32_t sq_entries);
/* The next n calls that hand something over have no memory for it. */
void uring_refuse(uint32_t n);

#endif /* WEFT_MODEL_SEAM_URING_H */
