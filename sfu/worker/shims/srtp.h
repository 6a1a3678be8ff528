// mediasoup is written for libsrtp 3, Debian has libsrtp 2: the calls that differ, one in terms of the other.
//
// libsrtp 3 takes an input and an output buffer with sizes; libsrtp 2 works in place and moves an int, trusting that
// SRTP_MAX_TRAILER_LEN more bytes are writable. So: see that there is room, copy unless it is in place already, call.
#pragma once

#include <srtp2/srtp.h>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Two codes that libsrtp 2 never returns; mediasoup has texts for them. The values are those of libsrtp 3.
constexpr srtp_err_status_t srtp_err_status_buffer_small = static_cast<srtp_err_status_t>(28);
constexpr srtp_err_status_t srtp_err_status_cryptex_err = static_cast<srtp_err_status_t>(29);

namespace livehouse
{
	using InPlace = srtp_err_status_t (*)(srtp_t, void*, int*);

	inline srtp_err_status_t runInPlace(
	  InPlace call, srtp_t session, const uint8_t* input, size_t inputLen, uint8_t* output, size_t* outputLen, size_t growth)
	{
		const size_t room = *outputLen;
		*outputLen = 0;

		if (inputLen > INT_MAX - growth || room < inputLen + growth)
		{
			return srtp_err_status_buffer_small;
		}

		if (input != output)
		{
			std::memmove(output, input, inputLen);
		}

		int length = static_cast<int>(inputLen);
		const srtp_err_status_t status = call(session, output, &length);

		if (status == srtp_err_status_ok)
		{
			*outputLen = static_cast<size_t>(length);
		}

		return status;
	}
} // namespace livehouse

// Packets grow when they are protected: by the tag, and RTCP by four bytes of index as well.
inline srtp_err_status_t srtp_protect(
  srtp_t session, const uint8_t* rtp, size_t rtpLen, uint8_t* srtp, size_t* srtpLen, size_t /*mkiIndex*/)
{
	const livehouse::InPlace call = &::srtp_protect;

	return livehouse::runInPlace(call, session, rtp, rtpLen, srtp, srtpLen, SRTP_MAX_TRAILER_LEN);
}

inline srtp_err_status_t srtp_protect_rtcp(
  srtp_t session, const uint8_t* rtcp, size_t rtcpLen, uint8_t* srtcp, size_t* srtcpLen, size_t /*mkiIndex*/)
{
	const livehouse::InPlace call = &::srtp_protect_rtcp;

	return livehouse::runInPlace(call, session, rtcp, rtcpLen, srtcp, srtcpLen, SRTP_MAX_TRAILER_LEN + sizeof(uint32_t));
}

// And shrink when they are unprotected.
inline srtp_err_status_t srtp_unprotect(srtp_t session, const uint8_t* srtp, size_t srtpLen, uint8_t* rtp, size_t* rtpLen)
{
	const livehouse::InPlace call = &::srtp_unprotect;

	return livehouse::runInPlace(call, session, srtp, srtpLen, rtp, rtpLen, 0);
}

inline srtp_err_status_t srtp_unprotect_rtcp(
  srtp_t session, const uint8_t* srtcp, size_t srtcpLen, uint8_t* rtcp, size_t* rtcpLen)
{
	const livehouse::InPlace call = &::srtp_unprotect_rtcp;

	return livehouse::runInPlace(call, session, srtcp, srtcpLen, rtcp, rtcpLen, 0);
}

// A new name in libsrtp 3. Both take the SSRC in network order, and the caller has turned it already: turning it again here
// would remove a stream that does not exist.
inline srtp_err_status_t srtp_stream_remove(srtp_t session, uint32_t ssrc)
{
	return srtp_remove_stream(session, ssrc);
}
