// zlib's initialiser is a macro over its version and the size of its stream, which Swift cannot see.
#ifndef WEBGW_CZLIB_SHIM_H
#define WEBGW_CZLIB_SHIM_H
#include <zlib.h>

static inline int webgw_gzip_start(z_stream *stream, int level) {
    // 15 bits of window, and 16 for the frame of gzip instead of zlib's own; 8 is zlib's usual memory.
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
#endif
